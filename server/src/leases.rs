//! `bursar leases`: which processes have something set aside, and taking it back from one that is
//! gone for good.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use domain::{
    audit::Door,
    ids::OrgId,
    leases::Holder,
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::Store;
use uuid::Uuid;

use crate::{
    Fatal,
    apply::say,
    config::Config,
    database::{Database, Upgrade, nothing_here},
};

/// Whose leases.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Only of this organization.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Take back what this process had set aside: one that is not heard of and never comes back.
    #[arg(long, value_name = "PROCESS")]
    take_back: Option<Uuid>,
}

/// Lists them, or takes back.
pub async fn run(config: Config, options: Options) -> Result<ExitCode, Fatal> {
    let nothing = || nothing_here("leases", &config);
    let database = Database::look(&config, Upgrade::Refuse).await?.ok_or_else(nothing)?;
    let text = text(&database.store, &options).await;
    database.close().await;
    say(&text?)?;
    Ok(ExitCode::SUCCESS)
}

async fn text(store: &Store, options: &Options) -> Result<String, Fatal> {
    let orgs = match &options.organization {
        None => store::organizations::all(store).await?,
        Some(name) => {
            let known = store::organizations::find(store, Some(name)).await?;
            vec![known.ok_or_else(|| Fatal::new("leases", format!("there is no organization {name}")))?]
        }
    };
    let (mut text, mut taken) = (String::new(), false);
    for org in orgs {
        let name = store::organizations::get(store, org).await?.name;
        match options.take_back {
            None => text += &listed(&name, &store::leases::holders(store, org, store::clock::now()).await?),
            Some(replica) => match take_back(store, org, replica).await {
                Ok(holder) => {
                    taken = true;
                    // Writing into a string does not fail.
                    let _ = writeln!(
                        text,
                        "{name}: {} on {} windows taken back; {} calls booked as lost.",
                        holder.money, holder.leases, holder.calls
                    );
                }
                // It has nothing of this one.
                Err(store::StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    if let Some(replica) = options.take_back.filter(|_| !taken) {
        return Err(Fatal::new("leases", format!("no process {replica} has anything set aside")));
    }
    Ok(text)
}

async fn take_back(store: &Store, org: OrgId, replica: Uuid) -> store::Result<Holder> {
    let actor = Actor {
        org,
        user: None,
        name: "bursar leases".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::File,
    };
    let permit = permit(&actor, Act::EditOrganization, Place::Organization)
        .map_err(|refused| store::StoreError::NotPermitted(refused.act))?;
    store::leases::take_back(store, permit, replica, store::clock::now()).await
}

fn listed(name: &str, holders: &[Holder]) -> String {
    if holders.is_empty() {
        return format!("{name}: nothing is set aside.\n");
    }
    let mut text = format!("{name}:\n");
    for Holder { replica, heard_at, lost, leases, money, calls, .. } in holders {
        let heard =
            heard_at.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
        let state = if *lost { "not heard of" } else { "at work" };
        let _ = writeln!(
            text,
            "  {replica}  {state:<12}  last heard {heard}  {money} set aside on {leases} windows  {calls} calls in flight"
        );
    }
    text
}
