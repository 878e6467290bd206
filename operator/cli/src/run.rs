//! From arguments to what is printed: randomness, clock, cluster and files.

use std::{collections::BTreeSet, time::SystemTime};

use alcazar_vpn::{PrivateKey, qr_code};
use jiff::Timestamp;

use crate::{
    audit,
    cli::{AddPeer, Audit, Cli, Command, CreateKey, Keys, Model, Vpn},
    cluster,
    error::Error,
    key_text, keys, manifest, model, print, vpn,
};

/// Does what the command says.
///
/// # Errors
/// Why it could not.
pub fn run(cli: Cli) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Runtime { source })?;
    // Fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Keys(Keys::Create(arguments)) => create_key(&arguments),
        Command::Keys(Keys::Revoke(arguments)) => runtime.block_on(async {
            let client = cluster::connect().await?;
            print::aside(&cluster::revoke(&client, arguments.namespace.as_deref(), &arguments.name).await?);
            Ok(())
        }),
        Command::Keys(Keys::List(arguments)) => runtime.block_on(async {
            let (all, client) = (arguments.all_namespaces, cluster::connect().await?);
            let found = cluster::keys(&client, arguments.namespace.as_deref(), all).await?;
            if found.is_empty() {
                print::aside("no keys\n");
                return Ok(());
            }
            print::result(&keys::table(&found, all))
        }),
        Command::Model(Model::Sign(arguments)) => print::result(&model::sign(&arguments)?),
        Command::Model(Model::Verify(arguments)) => print::result(&model::verify(&arguments, SystemTime::now())?),
        Command::Audit(Audit::Verify(arguments)) => print::result(&audit::verify(&arguments)?),
        Command::Vpn(Vpn::Add(arguments)) => runtime.block_on(add_peer(&arguments)),
    }
}

/// The secret goes out first: an object whose key nobody has would only be in the way.
fn create_key(arguments: &CreateKey) -> Result<(), Error> {
    let key = key_text::generate()?;
    let object = keys::api_key(arguments, &key, Timestamp::now())?;
    match &arguments.key_file {
        Some(path) => print::secret_file(path, &format!("{key}\n"))?,
        None => print::aside(&keys::shown_once(&key)),
    }
    print::result(&manifest::text(&object, arguments.output))
}

async fn add_peer(arguments: &AddPeer) -> Result<(), Error> {
    let (server, taken) = if let Some(server) = vpn::server_of_flags(&arguments.server)? {
        (server, BTreeSet::new())
    } else {
        let client = cluster::connect().await?;
        let server = cluster::server(&client, &arguments.server.system_namespace).await?;
        // Whoever names an address and may not list the peers is told of a clash by the peer's condition.
        let taken = match (cluster::taken(&client).await, arguments.address) {
            (Err(_), Some(_)) => BTreeSet::new(),
            (taken, _) => taken?,
        };
        (server, taken)
    };
    let private_key = PrivateKey::generate().map_err(|error| Error::Random { why: error.to_string() })?;
    let (object, file) = vpn::peer(arguments, &server, &taken, &private_key, Timestamp::now())?;
    if let Some(path) = &arguments.config_file {
        print::secret_file(path, &file)?;
    } else {
        let picture = if arguments.no_qr { None } else { qr_code(&file) };
        print::aside(&vpn::shown_once(&file, server.gateway, picture.as_ref().map(|picture| picture.as_str())));
    }
    print::result(&manifest::text(&object, arguments.output))
}
