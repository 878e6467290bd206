//! Where adapters come from, and what requests call them.

mod judge;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use alcazar_core::AdapterId;
use alcazar_formats::{Access, Adapter, Class, adapter};

pub(crate) use self::judge::{ModelInspector, inspect};

/// An adapter that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedAdapter {
    /// What `model` must be in a request.
    pub name: String,
    /// Where it lies: in the model's directory, or as the command line has it.
    pub root: String,
}

/// `NAME=DIRECTORY` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    name: String,
    path: PathBuf,
}

/// Adapters by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub served: Vec<ServedAdapter>,
    pub adapters: Vec<Adapter>,
}

/// Why no adapter is where one was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdaptersError {
    #[error(transparent)]
    Files(#[from] alcazar_formats::Error),
    #[error("failed to serve adapter {name}: that is the name of the model, or of another adapter; give it its own")]
    NameTaken { name: String },
    #[error(
        "failed to serve adapter {name}: {} lies outside of the model, whose digest was verified; put it into its \
         adapters/{name} before it is sealed, or serve without --digest", path.display()
    )]
    Unverified { name: String, path: PathBuf },
    #[error(
        "failed to serve adapter {name}: its base is an encoder, whose adapters are not served; merge it into the model"
    )]
    OfEncoder { name: String },
    #[error(transparent)]
    Base(#[from] alcazar_models::LoadError),
}

impl AdaptersError {
    pub(crate) const fn class(&self) -> Class {
        match self {
            Self::Files(source) => source.class(),
            Self::NameTaken { .. } | Self::Unverified { .. } => Class::Invalid,
            Self::OfEncoder { .. } | Self::Base(_) => Class::Unsupported,
        }
    }
}

/// For clap.
pub(crate) fn parse_given(text: &str) -> Result<Given, String> {
    let Some((name, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err("expected NAME=DIRECTORY".to_owned());
    };
    adapter::check_name(name)?;
    Ok(Given { name: name.to_owned(), path: PathBuf::from(path) })
}

/// Opens the adapters of a model: those in its directory, then those of the command line. Their order numbers them.
pub(crate) fn open(
    access: &dyn Access,
    model: &Path,
    model_name: &str,
    given: &[Given],
    is_verified: bool,
) -> Result<Opened, AdaptersError> {
    let mut places: Vec<(ServedAdapter, PathBuf)> = Vec::new();
    for (name, path) in adapter::find(model)? {
        let root = format!("{}/{name}", adapter::FOLDER);
        places.push((ServedAdapter { name, root }, path));
    }
    for Given { name, path } in given {
        if is_verified && !is_within(path, model) {
            return Err(AdaptersError::Unverified { name: name.clone(), path: path.clone() });
        }
        let root = path.display().to_string();
        places.push((ServedAdapter { name: name.clone(), root }, path.clone()));
    }
    for (nth, (served, _)) in places.iter().enumerate() {
        let is_taken = |(other, _): &(ServedAdapter, PathBuf)| other.name == served.name;
        if served.name == model_name || places.iter().take(nth).any(is_taken) {
            return Err(AdaptersError::NameTaken { name: served.name.clone() });
        }
    }
    let open =
        |(served, path): (ServedAdapter, PathBuf)| Ok((Adapter::open_with(access, &served.name, &path)?, served));
    let opened = places.into_iter().map(open).collect::<Result<Vec<_>, AdaptersError>>()?;
    let (adapters, served) = opened.into_iter().unzip();
    Ok(Opened { served, adapters })
}

/// Encoders are served as they are.
pub(crate) fn refuse_for_encoder(adapters: &[Adapter]) -> Result<(), AdaptersError> {
    match adapters.first() {
        None => Ok(()),
        Some(adapter) => Err(AdaptersError::OfEncoder { name: adapter.facts().name.clone() }),
    }
}

fn is_within(path: &Path, model: &Path) -> bool {
    match (path.canonicalize(), model.canonicalize()) {
        (Ok(path), Ok(model)) => path.starts_with(model),
        _ => false,
    }
}

/// The number that the engine knows an adapter by.
pub(crate) fn id_of(adapters: &[ServedAdapter], name: &str) -> Option<AdapterId> {
    let nth = adapters.iter().position(|adapter| adapter.name == name)?;
    u32::try_from(nth).ok().map(AdapterId)
}
