//! `bursar demo`: an organization with three months behind it, a provider that is simulated, and a
//! little traffic.
//!
//! It lives in a folder and a Postgres of its own and never touches an installation that is in
//! use. The past is made by the functions of the store that make the present, so the books of a
//! demo are as true as any.

mod acme;
mod calls;
mod crowd;
mod fill;
mod folder;
mod observed;
mod refusals;
mod requests;
mod reviews;
mod script;
mod simulated;
mod stage;
mod traffic;

use axum::Router;
use clap::Args;
use domain::{
    audit::Door,
    ids::OrgId,
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, MasterKey, Schema, Store,
    providers::{Credential, ProviderForm},
};

use self::folder::{Folder, Kept};
use crate::{Fatal, config::Config, database::Database, serve};

/// How a demo is set up.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Throw the demo that is there away and begin anew.
    #[arg(long)]
    fresh: bool,

    /// No live traffic.
    #[arg(long)]
    quiet: bool,

    /// About how many calls the three months have.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(0..=5_000_000))]
    calls: u32,

    /// A large organization around the story: about this many people more.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    people: u32,

    /// In this many groups more, five or six levels deep.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=50_000))]
    groups: u32,

    /// This many calls of theirs, over thirteen months.
    #[arg(long, default_value_t = 0)]
    events: u64,

    /// Another number tells another story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Fills what is empty, and serves until it is told to stop.
pub async fn run(mut config: Config, options: Options) -> Result<(), Fatal> {
    let folder = Folder::below(&config.data_dir);
    folder.path().clone_into(&mut config.data_dir);
    let listener = serve::bind(&config).await?;
    let bound = listener.local_addr().map_err(|error| Fatal::new("the address", error))?;
    let mut kept = folder.read()?;
    let private = config.database_url.is_none();
    let unfinished = kept.as_ref().is_some_and(|kept| kept.org.is_none());
    if private && (options.fresh || unfinished) {
        folder.remove()?;
        kept = None;
    }
    if let Some(url) = &config.database_url {
        refuse_use(url, kept.as_ref().filter(|_| !options.fresh)).await?;
    }
    let wanted = kept.as_ref().map_or_else(|| bound.port().saturating_add(1), |kept| kept.port);
    let port = simulated::start(wanted).await?;
    if kept.is_none() {
        folder.keep(&Kept { org: None, port, secrets: Vec::new() })?;
    }
    // A demo that a power cut spoils is made again.
    config.durable = false;
    let database = Database::open(&config).await?;
    let public_url = config.public_url(bound);
    let outcome = async {
        let kept = ready(&database.store, &folder, kept, port, &options).await?;
        serve::serve(&config, &database, listener, &public_url, async |router: Router| {
            println!("{}", greeting(&public_url, &kept));
            if !options.quiet {
                let seed = store::clock::now().timestamp().unsigned_abs();
                tokio::spawn(traffic::run(router, kept, seed));
            }
            Ok(())
        })
        .await
    };
    let outcome = outcome.await;
    database.close().await;
    outcome
}

/// Ends, having changed nothing, if a database is used by anything but the demo that was kept.
async fn refuse_use(url: &str, kept: Option<&Kept>) -> Result<(), Fatal> {
    // A question that needs no key.
    let store = Store::connect(url, 1, MasterKey::generate()).await?;
    let used = match store.schema().await? {
        Schema::Nothing => false,
        _ => match store::organizations::all(&store).await?.as_slice() {
            [] => store::installation::is_set_up(&store).await?,
            [org] => kept.and_then(|kept| kept.org) != Some(*org),
            _ => true,
        },
    };
    store.close().await;
    if used { Err(in_use()) } else { Ok(()) }
}

fn in_use() -> Fatal {
    let sentence =
        "this database is in use; a demo needs an empty one, or none: without DATABASE_URL it runs its own";
    Fatal::new("the demo", sentence)
}

/// The demo in this database: the one that is there, or a new one if there is nothing at all.
async fn ready(
    store: &Store,
    folder: &Folder,
    kept: Option<Kept>,
    port: u16,
    options: &Options,
) -> Result<Kept, Fatal> {
    let known = store::organizations::all(store).await?;
    match (known.as_slice(), kept) {
        ([], _) => {
            folder.keep(&Kept { org: None, port, secrets: Vec::new() })?;
            let kept = fill::fill(store, port, options).await?;
            folder.keep(&kept)?;
            Ok(kept)
        }
        ([org], Some(mut kept)) if kept.org == Some(*org) => {
            if kept.port != port {
                move_providers(store, *org, port).await?;
                kept.port = port;
                folder.keep(&kept)?;
            }
            Ok(kept)
        }
        _ => Err(in_use()),
    }
}

/// Another program has the port of last time: the simulated provider is elsewhere now.
async fn move_providers(store: &Store, org: OrgId, port: u16) -> Result<(), Fatal> {
    let actor = Actor {
        org,
        user: None,
        name: "Bursar".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::System,
    };
    for provider in store::providers::list(store, org).await? {
        if ![acme::SIMULATED, acme::SIMULATED_ANTHROPIC].contains(&provider.name.as_str()) {
            continue;
        }
        let permit = permit(&actor, Act::EditCatalogue, Place::Organization)
            .map_err(|refused| Fatal::new("the demo", refused.act))?;
        let mut change = Change::begin(store, permit).await?;
        let name = provider.name.parse().map_err(|error| Fatal::new("the demo", error))?;
        let form = ProviderForm {
            name,
            dialect: provider.dialect,
            base_url: format!("http://127.0.0.1:{port}/v1"),
            allow_private_address: true,
        };
        store::providers::update(&mut change, provider.id, provider.version, &form, &Credential::Clear)
            .await?;
        change.commit().await?;
    }
    Ok(())
}

/// One line: where, as whom, and a key to call with.
fn greeting(public_url: &str, kept: &Kept) -> String {
    let who = |key: &str, what: &str| format!("{} ({what})", stage::address(key));
    let people =
        [who("olga", "owner"), who("lin", "lead"), who("sam", "member"), who("noor", "auditor")].join(", ");
    let key = kept.secrets.iter().find(|secret| secret.offered).map(|secret| secret.secret.reveal());
    let key = key.map(|key| format!(" · call it with the key {key}")).unwrap_or_default();
    format!(
        "Bursar demo is ready at {public_url} · sign in as {people} with the password {}{key}",
        acme::PASSWORD
    )
}
