//! `bursar password`: a link to choose another password with, for somebody who forgot theirs and gets no
//! mail. For whoever runs the installation: who reads its database and keys could do as much.

use std::process::ExitCode;

use clap::Args;
use store::StoreError;

use crate::{
    Fatal,
    apply::say,
    config::Config,
    database::{Database, Upgrade, nothing_here},
};

/// Whose password.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The address they sign in with.
    email: String,
}

/// Prints the link.
pub async fn run(config: Config, options: Options) -> Result<ExitCode, Fatal> {
    let database =
        Database::look(&config, Upgrade::Refuse).await?.ok_or_else(|| nothing_here("password", &config))?;
    let token = store::password_resets::token(&database.store, &options.email, store::clock::now()).await;
    database.close().await;
    let token = match token {
        Err(StoreError::NotFound) => {
            return Err(Fatal::new("password", format!("nobody signs in with {}", options.email)));
        }
        token => token?,
    };
    let base = config.public_url(config.addr);
    say(&format!("{base}/password/{token}\n\nIt works once, for an hour. Hand it to nobody but them.\n"))?;
    Ok(ExitCode::SUCCESS)
}
