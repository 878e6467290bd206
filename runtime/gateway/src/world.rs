//! What the gateway knows of the cluster: one value that never changes, replaced as a whole by the next. Pure.

pub(crate) mod build;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use crate::{
    key::{Hash, Key, Name},
    quota::owner::Peer,
    vpn::peers::Listed,
};

/// What is wanted of a deployment while it has no ready pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    /// There will be pods.
    #[default]
    Wanted,
    /// `spec.replicas` is 0.
    ScaledToZero,
    /// `spec.state` is `Suspended`.
    Suspended,
}

/// A served model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    /// Of the deployment.
    pub(crate) name: String,
    /// Of the deployment.
    pub(crate) namespace: String,
    /// Ready pods, each once, in order.
    pub(crate) endpoints: Vec<SocketAddr>,
    /// Whether requests may wait for a pod.
    pub(crate) demand: Demand,
    /// Manifest digest of the weights; empty: unknown.
    pub(crate) digest: String,
    /// Days for which prompts are kept; none: they are not kept at all.
    pub(crate) prompt_days: Option<u32>,
    /// Adapters that its pods list.
    pub(crate) adapters: Vec<String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
}

impl Model {
    /// The name in the certificate of its pods.
    pub(crate) fn server_name(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

/// Keys, models and replicas, as the watches last told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct World {
    /// By the first bytes of their hash.
    keys: HashMap<u64, Vec<Arc<Key>>>,
    by_name: HashMap<Name, Arc<Key>>,
    /// By namespace and name.
    models: BTreeMap<String, BTreeMap<String, Arc<Model>>>,
    /// By namespace and adapter.
    adapters: BTreeMap<String, BTreeMap<String, Arc<Model>>>,
    peers: Vec<Peer>,
    vpn_peers: Vec<Listed>,
}

impl World {
    /// From lists; of keys with one hash, the first counts.
    pub(crate) fn new(keys: Vec<Key>, models: Vec<Model>, peers: Vec<Peer>) -> Self {
        let mut world = Self { peers, ..Self::default() };
        for key in keys {
            let bucket = world.keys.entry(key.hash.bucket()).or_default();
            if !bucket.iter().any(|other| other.hash.is(&key.hash)) {
                let key = Arc::new(key);
                bucket.push(Arc::clone(&key));
                world.by_name.insert(key.name.clone(), key);
            }
        }
        for model in models {
            let model = Arc::new(model);
            for adapter in &model.adapters {
                let adapters = world.adapters.entry(model.namespace.clone()).or_default();
                adapters.entry(adapter.clone()).or_insert_with(|| Arc::clone(&model));
            }
            world.models.entry(model.namespace.clone()).or_default().insert(model.name.clone(), model);
        }
        world
    }

    /// The same, and who may come in by the tunnel.
    pub(crate) fn with_vpn_peers(self, vpn_peers: Vec<Listed>) -> Self {
        Self { vpn_peers, ..self }
    }

    /// The key that has this hash, valid or not. Takes as long for one that there is not.
    pub(crate) fn key(&self, hash: &Hash) -> Option<&Arc<Key>> {
        let bucket = self.keys.get(&hash.bucket()).map(Vec::as_slice).unwrap_or_default();
        bucket.iter().find(|key| key.hash.is(hash))
    }

    /// The key of an object.
    pub(crate) fn key_named(&self, name: &Name) -> Option<&Arc<Key>> {
        self.by_name.get(name)
    }

    /// What `name` stands for, to this key: a deployment, or the one that has an adapter of that name.
    pub(crate) fn model(&self, key: &Key, name: &str) -> Option<&Arc<Model>> {
        let models = self.models.get(&key.name.namespace)?;
        let adapters = self.adapters.get(&key.name.namespace);
        let found = models.get(name).or_else(|| adapters.and_then(|adapters| adapters.get(name)))?;
        key.allows(&found.name).then_some(found)
    }

    /// The deployment as it is now.
    pub(crate) fn model_named(&self, namespace: &str, name: &str) -> Option<&Arc<Model>> {
        self.models.get(namespace)?.get(name)
    }

    /// All that a key sees: each name, its model, and whether it is an adapter.
    pub(crate) fn visible<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = (&'a str, &'a Model, bool)> {
        let models = self.models.get(&key.name.namespace).into_iter();
        let allowed = models.flat_map(|all| all.iter().map(move |(name, model)| (all, name, model)));
        allowed.filter(|(_, name, _)| key.allows(name)).flat_map(|(all, name, model)| {
            let adapters = model.adapters.iter().filter(|adapter| !all.contains_key(*adapter));
            let adapters = adapters.map(move |adapter| (adapter.as_str(), model.as_ref(), true));
            std::iter::once((name.as_str(), model.as_ref(), false)).chain(adapters)
        })
    }

    /// All of them.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values().flat_map(BTreeMap::values)
    }

    /// Who may come in by the tunnel, the first made first.
    pub(crate) fn vpn_peers(&self) -> &[Listed] {
        &self.vpn_peers
    }

    /// Replicas of the gateway, this one included once it is ready.
    pub(crate) fn peers(&self) -> &[Peer] {
        &self.peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str, text: &str, models: &[&str]) -> Key {
        Key {
            name: Name::new(namespace, name),
            hash: Hash::of(text),
            models: models.iter().map(|name| (*name).to_owned()).collect(),
            limits: crate::quota::Limits::default(),
            expires_at: None,
            is_revoked: false,
            spent: crate::key::Spent::default(),
        }
    }

    fn model(namespace: &str, name: &str, adapters: &[&str]) -> Model {
        Model {
            name: name.into(),
            namespace: namespace.into(),
            adapters: adapters.iter().map(|name| (*name).to_owned()).collect(),
            ..Model::default()
        }
    }

    fn world() -> World {
        let keys = vec![
            key("a", "all", "alc_1", &[]),
            key("a", "one", "alc_2", &["x"]),
            key("b", "twin", "alc_1", &[]),
            key("b", "all", "alc_3", &[]),
        ];
        let models = vec![model("a", "x", &["tuned", "y"]), model("a", "y", &[]), model("b", "z", &["tuned"])];
        World::new(keys, models, Vec::new())
    }

    #[test]
    fn keys_are_found_by_hash_and_the_first_of_twins_counts() {
        let world = world();
        let found = |text| world.key(&Hash::of(text)).map(|key| key.name.to_string());
        assert_eq!(found("alc_1").as_deref(), Some("a/all"));
        assert_eq!(found("alc_9"), None);
        assert!(world.key_named(&Name::new("b", "twin")).is_none());
    }

    #[test]
    fn a_key_sees_its_own_models_only() {
        let world = world();
        let seen = |text| {
            let key = world.key(&Hash::of(text)).expect("the key is there").clone();
            world.visible(&key).map(|(name, ..)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(seen("alc_1"), ["x", "tuned", "y"]);
        assert_eq!(seen("alc_2"), ["x", "tuned"]);
        assert_eq!(seen("alc_3"), ["z", "tuned"]);
    }

    #[test]
    fn names_lead_to_models_that_the_key_allows() {
        let world = world();
        let found = |text: &str, name: &str| {
            let key = world.key(&Hash::of(text)).expect("the key is there");
            world.model(key, name).map(|model| model.name.clone())
        };
        assert_eq!(found("alc_1", "tuned").as_deref(), Some("x"));
        // The deployment goes before the adapter of the same name.
        assert_eq!(found("alc_1", "y").as_deref(), Some("y"));
        assert_eq!(found("alc_2", "y"), None);
        assert_eq!(found("alc_2", "tuned").as_deref(), Some("x"));
        assert_eq!(found("alc_3", "tuned").as_deref(), Some("z"));
        assert_eq!(found("alc_3", "x"), None);
    }
}
