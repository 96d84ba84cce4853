//! Upstreams and their credentials.

use std::net::IpAddr;

use domain::{
    ids::{OrgId, ProviderId},
    names::Name,
    providers::{Dialect, Provider, Wait, Waits},
    roles::Act,
};
use sqlx::PgConnection;

use crate::{Change, Diff, Result, SealedFor, Store, StoreError, Subject, change::exactly_one, clock};

/// What a new or edited provider is given.
#[derive(Clone, Debug)]
pub struct ProviderForm {
    /// What it is called.
    pub name: Name,
    /// The language it speaks.
    pub dialect: Dialect,
    /// Everything before the route.
    pub base_url: String,
    /// Whether it may be on this machine or in a private network.
    pub allow_private_address: bool,
}

/// What happens to a stored credential.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    Keep,
    /// There is none any more.
    Clear,
    /// This one takes its place.
    Set(String),
    /// What an applied file says: the environment variable it is in, and what that holds now.
    Variable {
        /// The variable.
        name: String,
        /// Whether the provider works without.
        optional: bool,
        /// None while it is not set: what was stored from the same variable stays.
        value: Option<String>,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Clear => "Clear",
            Self::Set(_) => "Set(…)",
            Self::Variable { .. } => "Variable(…)",
        })
    }
}

/// Checks and normalizes a base URL: `http` or `https`, a host, no query, no credential in it.
/// Plain `http` is for private addresses only.
///
/// # Errors
/// With a sentence for the person who typed it.
pub fn base_url(text: &str, allow_private: bool) -> Result<String> {
    let about = About {
        field: "base_url",
        without_more: "Enter the address up to the version",
        example: "https://api.openai.com/v1",
    };
    address(text, allow_private, &about)
}

/// What an address is for, where it is wrong.
pub(crate) struct About {
    /// The field it was typed in.
    pub field: &'static str,
    /// How to write it without what is behind its path.
    pub without_more: &'static str,
    /// One like it.
    pub example: &'static str,
}

/// Checks and normalizes an address that Bursar calls.
///
/// # Errors
/// With a sentence for the person who typed it.
pub(crate) fn address(text: &str, allow_private: bool, about: &About) -> Result<String> {
    let About { field, without_more, example } = about;
    let wrong = |sentence: &str| Err(StoreError::invalid(field, sentence));
    let such = |sentence: &str| wrong(&format!("{sentence}, for instance {example}."));
    let text = text.trim().trim_end_matches('/');
    if text.len() > 500 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("Enter an address without spaces, at most 500 characters.");
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        _ => return such("Start the address with https://"),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || rest.contains(['?', '#', '\\']) {
        return such(without_more);
    }
    if authority.contains('@') {
        return wrong("Leave the credential out of the address; it has a field of its own.");
    }
    let host = host_of(authority);
    if host.is_empty() {
        return such("Enter an address with a host");
    }
    if !allow_private {
        if scheme == "http" {
            return wrong("Use https, or allow a private address for a server in your own network.");
        }
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(is_private) {
            return wrong(
                "This is a private address. Allow it below if the provider is in your own network.",
            );
        }
    }
    Ok(text.to_owned())
}

fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether an address belongs to this machine, a private network, or one of the ranges that lead
/// to either (RFC 6890 and the cloud metadata services inside link-local).
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0)
                || (a == 198 && (b == 18 || b == 19))
                || a >= 240
        }
        IpAddr::V6(v6) => {
            let [first, second, third, fourth, fifth, sixth, ..] = v6.segments();
            // Addresses of version 4 in an older way of writing, which some systems still follow.
            let compatible = [first, second, third, fourth, fifth, sixth] == [0; 6];
            v6.to_ipv4_mapped().map(IpAddr::V4).is_some_and(is_private)
                || v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                // Of this link, and of this site, as that was called before it was given up.
                || (first & 0xff80) == 0xfe80
                || compatible
                || (first == 0x2001 && second == 0xdb8)
                || first == 0x2002
                || (first == 0x64 && second == 0xff9b)
        }
    }
}

/// Every provider by name.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId) -> Result<Vec<Provider>> {
    let rows = sqlx::query!(
        r#"select p.provider_id, p.name, p.dialect, p.base_url, p.credential is not null as "has_credential!",
                  p.allow_private_address, p.archived_at, p.version, p.connection_seconds, p.first_byte_seconds, p.silence_seconds,
                  p.total_seconds, count(m.model_id) as "models!"
           from providers p
           left join models m on m.org_id = p.org_id and m.provider_id = p.provider_id and m.archived_at is null
           where p.org_id = $1 and p.archived_at is null
           group by p.org_id, p.provider_id
           order by lower(p.name)"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Provider {
                id: row.provider_id.into(),
                name: row.name,
                dialect: row.dialect.parse()?,
                base_url: row.base_url,
                has_credential: row.has_credential,
                allow_private_address: row.allow_private_address,
                waits: waits([
                    row.connection_seconds,
                    row.first_byte_seconds,
                    row.silence_seconds,
                    row.total_seconds,
                ]),
                models: row.models,
                archived_at: row.archived_at,
                version: row.version,
            })
        })
        .collect()
}

/// One provider.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ProviderId) -> Result<Provider> {
    read(&mut *store.pool().acquire().await?, org, id).await
}

async fn read(db: &mut PgConnection, org: OrgId, id: ProviderId) -> Result<Provider> {
    let row = sqlx::query!(
        r#"select name, dialect, base_url, credential is not null as "has_credential!", allow_private_address, archived_at, version,
                  connection_seconds, first_byte_seconds, silence_seconds, total_seconds,
                  (select count(*) from models m where m.org_id = $1 and m.provider_id = $2 and m.archived_at is null) as "models!"
           from providers where org_id = $1 and provider_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(db)
    .await?;
    Ok(Provider {
        id,
        name: row.name,
        dialect: row.dialect.parse()?,
        base_url: row.base_url,
        has_credential: row.has_credential,
        allow_private_address: row.allow_private_address,
        waits: waits([
            row.connection_seconds,
            row.first_byte_seconds,
            row.silence_seconds,
            row.total_seconds,
        ]),
        models: row.models,
        archived_at: row.archived_at,
        version: row.version,
    })
}

/// The credential of a provider in plain text, for a call to it.
///
/// # Errors
/// When it does not open with this master key.
pub async fn credential(store: &Store, org: OrgId, id: ProviderId) -> Result<Option<String>> {
    let sealed = sqlx::query_scalar!(
        "select credential from providers where org_id = $1 and provider_id = $2",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    sealed.map(|sealed| store.vault().open(SealedFor::Provider(org, id), &sealed)).transpose()
}

/// The credentials of an organization's providers in plain text.
///
/// # Errors
/// When one does not open with this master key.
pub async fn credentials(store: &Store, org: OrgId) -> Result<Vec<(ProviderId, String)>> {
    let rows = sqlx::query!(
        r#"select provider_id, credential as "credential!" from providers
           where org_id = $1 and credential is not null and archived_at is null"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = ProviderId(row.provider_id);
            Ok((id, store.vault().open(SealedFor::Provider(org, id), &row.credential)?))
        })
        .collect()
}

/// Where the credential of a provider comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Which provider.
    pub provider: ProviderId,
    /// Whether one is stored.
    pub stored: bool,
    /// The environment variable an applied file named.
    pub variable: Option<String>,
    /// Whether the provider works without.
    pub optional: bool,
}

/// Where the credentials of an organization's providers come from.
///
/// # Errors
/// When the database does not answer.
pub async fn origins(store: &Store, org: OrgId) -> Result<Vec<Origin>> {
    let rows = sqlx::query!(
        r#"select provider_id, credential is not null as "stored!", credential_env, credential_optional
           from providers where org_id = $1 and archived_at is null"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    let origin = |provider: uuid::Uuid, stored, variable, optional| Origin {
        provider: provider.into(),
        stored,
        variable,
        optional,
    };
    Ok(rows
        .into_iter()
        .map(|row| origin(row.provider_id, row.stored, row.credential_env, row.credential_optional))
        .collect())
}

impl Credential {
    /// The plain text that is to be stored.
    fn plain(&self) -> Option<&str> {
        match self {
            Self::Set(plain) | Self::Variable { value: Some(plain), .. } => Some(plain),
            Self::Keep | Self::Clear | Self::Variable { value: None, .. } => None,
        }
    }

    /// Whether what is stored stays, given the variable it came from.
    fn keeps(&self, from: Option<&str>) -> bool {
        match self {
            Self::Keep => true,
            Self::Variable { name, value: None, .. } => from == Some(name),
            Self::Clear | Self::Set(_) | Self::Variable { .. } => false,
        }
    }

    /// The variable it comes from, and whether that may be missing.
    fn variable(&self) -> (Option<&str>, bool) {
        match self {
            Self::Variable { name, optional, .. } => (Some(name), *optional),
            Self::Keep | Self::Clear | Self::Set(_) => (None, false),
        }
    }
}

fn sealed(change: &Change, id: ProviderId, credential: &Credential) -> Result<Option<Vec<u8>>> {
    let seal = |plain| change.store().vault().seal(SealedFor::Provider(change.org(), id), plain);
    credential.plain().map(seal).transpose()
}

/// Adds a provider.
///
/// # Errors
/// [`StoreError::Conflict`] when the name is taken; [`StoreError::Invalid`] for a bad address.
pub async fn insert(change: &mut Change, form: &ProviderForm, credential: &Credential) -> Result<ProviderId> {
    change.expect(Act::EditCatalogue, None)?;
    let id: ProviderId = clock::id();
    let (org, at) = (change.org(), change.at());
    let base_url = base_url(&form.base_url, form.allow_private_address)?;
    let sealed = sealed(change, id, credential)?;
    sqlx::query!(
        "insert into providers (org_id, provider_id, name, dialect, base_url, credential, allow_private_address, created_at,
                                credential_env, credential_optional)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        org.0,
        id.0,
        form.name.as_str(),
        form.dialect.as_str(),
        base_url,
        sealed,
        form.allow_private_address,
        at,
        credential.variable().0,
        credential.variable().1,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new()
        .set("name", form.name.as_str())
        .set("dialect", form.dialect)
        .set("base_url", &base_url)
        .set("credential", if sealed.is_some() { "set" } else { "none" })
        .set("allow_private_address", form.allow_private_address)
        .field("credential variable", None::<String>, credential.variable().0);
    change.record(Subject { kind: "provider", id: id.0, name: form.name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// Changes a provider.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(
    change: &mut Change,
    id: ProviderId,
    version: i64,
    form: &ProviderForm,
    credential: &Credential,
) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    let org = change.org();
    let base_url = base_url(&form.base_url, form.allow_private_address)?;
    let before = read(change.db(), org, id).await?;
    let old = sqlx::query!(
        "select credential_env, credential_optional from providers where org_id = $1 and provider_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let keeps = credential.keeps(old.credential_env.as_deref());
    if keeps && before.has_credential && !same_origin(&before.base_url, &base_url) {
        let sentence = "The credential was given for another host. Enter it again, or clear it.";
        return Err(StoreError::invalid("credential", sentence));
    }
    let sealed = sealed(change, id, credential)?;
    let done = sqlx::query!(
        "update providers
         set name = $4, dialect = $5, base_url = $6, allow_private_address = $7, version = version + 1,
             credential = case when $8 then credential else $9 end,
             credential_env = case when $10 then credential_env else $11 end,
             credential_optional = case when $10 then credential_optional else $12 end
         where org_id = $1 and provider_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        form.name.as_str(),
        form.dialect.as_str(),
        base_url,
        form.allow_private_address,
        keeps,
        sealed,
        matches!(credential, Credential::Keep),
        credential.variable().0,
        credential.variable().1,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let credential_after = match (keeps, credential.plain()) {
        (true, _) => None,
        (false, Some(_)) => Some("replaced"),
        (false, None) => Some("cleared"),
    };
    let (variable, optional) = match credential {
        Credential::Keep => (old.credential_env.as_deref(), old.credential_optional),
        _ => credential.variable(),
    };
    let diff = Diff::new()
        .field("name", Some(&before.name), Some(form.name.as_str()))
        .field("dialect", Some(before.dialect), Some(form.dialect))
        .field("base_url", Some(&before.base_url), Some(&base_url))
        .field("allow_private_address", Some(before.allow_private_address), Some(form.allow_private_address))
        .field("credential", None::<String>, credential_after)
        .field("credential variable", old.credential_env.as_deref(), variable)
        .field("credential optional", Some(old.credential_optional), Some(optional));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "provider", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// How long a provider is waited for, from its columns in the order of [`Wait::ALL`].
pub(crate) fn waits(columns: [Option<i32>; 4]) -> Waits {
    let seconds = |column: Option<i32>| column.and_then(|seconds| u16::try_from(seconds).ok());
    Wait::ALL
        .iter()
        .zip(columns)
        .fold(Waits::default(), |waits, (&wait, column)| waits.with(wait, seconds(column)))
}

/// Says how long a provider is waited for.
///
/// # Errors
/// [`StoreError::Invalid`] outside the bounds; [`StoreError::Stale`] when `version` is not the newest.
pub async fn set_waits(change: &mut Change, id: ProviderId, version: i64, waits: &Waits) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    for &wait in Wait::ALL {
        let fits = waits.get(wait).is_none_or(|seconds| (1..=wait.most()).contains(&seconds));
        if !fits {
            let sentence =
                format!("Enter 1 to {} seconds, or nothing for the usual {}.", wait.most(), wait.usual());
            return Err(StoreError::invalid(wait.as_str(), sentence));
        }
    }
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    let column = |wait| waits.get(wait).map(i32::from);
    let done = sqlx::query!(
        "update providers set connection_seconds = $4, first_byte_seconds = $5, silence_seconds = $6, total_seconds = $7,
                              version = version + 1
         where org_id = $1 and provider_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        column(Wait::Connection),
        column(Wait::FirstByte),
        column(Wait::Silence),
        column(Wait::Total),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let said = |waits: &Waits, wait| waits.get(wait).map(|seconds| format!("{seconds} s"));
    let diff = Wait::ALL.iter().fold(Diff::new(), |diff, &wait| {
        diff.field(&format!("wait {wait}"), said(&before.waits, wait), said(waits, wait))
    });
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "provider", id: id.0, name: &before.name }, "edit", &diff).await
}

/// Whether two addresses share scheme, host and port. A stored credential must not travel to a
/// host it was not given for.
pub fn same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| url.split('/').take(3).collect::<Vec<_>>().join("/");
    origin(one) == origin(other)
}

/// Takes a provider out of use. Its models can no longer be called.
///
/// # Errors
/// [`StoreError::Invalid`] while models still use it.
pub async fn archive(change: &mut Change, id: ProviderId) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    let (org, at) = (change.org(), change.at());
    let before = read(change.db(), org, id).await?;
    if before.models > 0 {
        let sentence = match before.models {
            1 => "1 model still uses it. Archive it, or move it to another provider, first.".to_owned(),
            models => {
                format!(
                    "{models} models still use it. Archive them, or move them to another provider, first."
                )
            }
        };
        return Err(StoreError::invalid("provider", sentence));
    }
    let done = sqlx::query!(
        "update providers set archived_at = $3, credential = null, version = version + 1
         where org_id = $1 and provider_id = $2 and archived_at is null",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new().set("archived", true);
    change.record(Subject { kind: "provider", id: id.0, name: &before.name }, "archive", &diff).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_need_https_and_private_ones_a_word() {
        assert_eq!(base_url(" https://api.openai.com/v1/ ", false).unwrap(), "https://api.openai.com/v1");
        for url in [
            "http://api.openai.com/v1",
            "https://127.0.0.1/v1",
            "https://localhost:8080",
            "https://10.0.0.7",
            "https://169.254.169.254/latest",
            "https://[::1]/v1",
            "https://[::ffff:10.0.0.1]/v1",
            "https://[fd00::1]/v1",
        ] {
            assert!(base_url(url, false).is_err(), "{url}");
            assert!(base_url(url, true).is_ok(), "{url}");
        }
        for url in [
            "",
            "ftp://a/b",
            "https://",
            "https://user:pass@host/v1",
            "https://host/v1?key=1",
            "https://ho st/",
            "javascript:alert(1)",
        ] {
            assert!(base_url(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_credential_stays_with_the_host_it_was_given_for() {
        assert!(same_origin("https://api.openai.com/v1", "https://api.openai.com/v2"));
        assert!(!same_origin("https://api.openai.com/v1", "https://api.evil.example/v1"));
        assert!(!same_origin("https://api.openai.com/v1", "http://api.openai.com/v1"));
    }
}
