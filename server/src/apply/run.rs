//! The two programs: from their arguments to what they print.

use std::{
    collections::HashSet,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use domain::{
    audit::Door,
    groups::Standing,
    ids::OrgId,
    roles::{Act, Actor, Permit, Place, permit},
    users::Role,
};
use store::{
    Change, Store, StoreError,
    applications::{self, Unanswered},
};

use super::{
    check, credentials,
    credentials::Credentials,
    difference,
    document::{Application, Document, Membership, Organization},
    export as exported,
    mistakes::{Mistake, Mistakes},
    present::Present,
    print::{self, Outcome},
    read, things,
    write::{Failure, Writer, people},
};
use crate::{
    Fatal,
    config::Config,
    database::{Database, Upgrade},
};

/// How often a program begins again when a server it has joined stops or starts meanwhile.
const TRIES: usize = 6;

const RULES: &str = "\
What the file does not name is left alone. What it names becomes what it says: a field that is left \
out gets its default, a list that is left out is empty. So the limits of a named thing, the \
authorizations of a named group and the memberships of a named person are exactly those of the file; \
others are removed. Memberships that came by themselves, grants, credentials and secrets are never \
removed. [organization] with nothing but a name only says which organization is meant.

Everything happens at once or not at all. A running server notices within a second. People the file \
adds are invited; invitations and secrets are printed once.

Applications for which nobody answers are warned of on standard error: whose owner is suspended, or that \
have no owner and nobody who leads their group or one above it.

Exit codes: 0 done, 1 not possible now, 2 a mistake in the file.";

/// Make an organization what a file says.
#[derive(Args, Debug)]
#[command(after_long_help = RULES)]
pub struct ApplyArgs {
    /// The file, TOML; `-` reads standard input.
    file: PathBuf,
    /// Print the difference and change nothing.
    #[arg(long)]
    plan: bool,
    /// Print one JSON document: the plan, and the secrets and invitations made now.
    #[arg(long)]
    json: bool,
    /// The organization the file is about, when the file gives it a new name.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

/// Print an organization as a file that `apply` takes.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Which organization, where there are several.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

/// A file, read, and how it is meant.
struct Job<'a> {
    args: &'a ApplyArgs,
    file_name: String,
    file: &'a Document,
    /// Which organization, and what it is to be.
    organization: &'a Organization,
    credentials: Credentials,
}

/// Applies a file.
pub async fn apply(config: Config, args: ApplyArgs) -> Result<ExitCode, Fatal> {
    let file_name = file_name(&args.file);
    let bytes = read_bytes(&args.file)?;
    match attempts(&config, &args, &file_name, &bytes).await {
        Ok(outcome) => {
            let public_url = config.public_url(config.addr);
            let text = if args.json {
                print::json(&outcome.0, &public_url) + "\n"
            } else {
                print::text(&outcome.0, &outcome.1, &public_url, !args.plan)
            };
            say(&text)?;
            // Beside what a program reads, and no reason to fail.
            for line in print::warnings(&outcome.0) {
                eprintln!("{line}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(Stopped::Mistakes(mistakes)) => {
            eprintln!("{}", mistakes.print(&file_name));
            Ok(ExitCode::from(2))
        }
        Err(Stopped::Fatal(fatal)) => Err(fatal),
    }
}

enum Stopped {
    Mistakes(Mistakes),
    Fatal(Fatal),
}

impl From<Fatal> for Stopped {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

impl From<Vec<Mistake>> for Stopped {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(Mistakes(mistakes))
    }
}

async fn attempts(
    config: &Config,
    args: &ApplyArgs,
    file_name: &str,
    bytes: &[u8],
) -> Result<(Outcome, String), Stopped> {
    let (file, mut mistakes) = read::document(bytes).map_err(Stopped::Mistakes)?;
    let (credentials, missing) = credentials::read(&file, |name| std::env::var(name).ok());
    mistakes.extend(missing);
    let Some(organization) = &file.organization else {
        return Err(mistakes.into());
    };
    let name = organization.name.to_string();
    let job = Job { args, file_name: file_name.to_owned(), file: &file, organization, credentials };
    let mut committing = None;
    for left in (0..TRIES).rev() {
        let upgrade = if args.plan || !mistakes.is_empty() { Upgrade::Refuse } else { Upgrade::Migrate };
        let database = match Database::look(config, upgrade).await? {
            Some(database) => database,
            None => {
                // Nothing was ever kept here, and nothing is made for a file that is wrong.
                mistakes.extend(check::check(&file, &Present::default()));
                if !mistakes.is_empty() {
                    return Err(mistakes.into());
                }
                if args.plan {
                    return Ok((planned(&job), name));
                }
                Database::make(config).await?
            }
        };
        let done = job.attempt(&database.store, &mistakes, &mut committing).await;
        let joined = database.joined();
        database.close().await;
        match done {
            Ok(outcome) => return Ok((outcome, name)),
            Err(Failure::Mistakes(mistakes)) => return Err(Stopped::Mistakes(mistakes)),
            Err(Failure::Store(StoreError::Unavailable(_))) if joined && left > 0 => {
                tracing::info!("the server stops or starts; beginning again");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Err(Failure::Store(error)) => return Err(Fatal::from(error).into()),
        }
    }
    Err(Fatal::new("the private Postgres", "it stops and starts all the time; try again").into())
}

fn key_of(application: &Application) -> things::Key {
    things::application_key(&application.group, application.name.as_str())
}

/// The difference to an installation that does not exist.
fn planned(job: &Job<'_>) -> Outcome {
    let nothing = Present::default();
    let plan = difference::plan(&nothing, job.file, &job.credentials.replaced(&nothing));
    let without_owner = !people::names_owner(job.file);
    Outcome { plan, without_owner, unanswered: nobody_leads(job.file), ..Outcome::default() }
}

/// The applications of a file whose group nobody of it leads, nor one above. Where there is nothing else yet,
/// nobody answers for these: a file says of nobody that they own one.
fn nobody_leads(file: &Document) -> Vec<Unanswered> {
    let lead = |it: &Membership| it.standing == Standing::Lead;
    let people = file.users.iter().filter(|user| !user.suspended);
    let led: Vec<String> =
        people.flat_map(|user| &user.groups).filter(|it| lead(it)).map(|it| it.path.to_lowercase()).collect();
    let is_led = |group: &str| {
        let group = group.to_lowercase();
        let within = |rest: &str| rest.is_empty() || rest.starts_with('/');
        led.iter().any(|led| group.strip_prefix(led.as_str()).is_some_and(within))
    };
    let left = file.applications.iter().filter(|application| !is_led(&application.group));
    left.map(|application| Unanswered {
        name: application.name.to_string(),
        group: application.group.clone(),
        owner: None,
    })
    .collect()
}

impl Job<'_> {
    /// Applies the file in one change, or finds out what it would change. `committing`: what an
    /// attempt made whose commit got no answer.
    async fn attempt(
        &self,
        store: &Store,
        mistakes: &[Mistake],
        committing: &mut Option<Outcome>,
    ) -> Result<Outcome, Failure> {
        let mut change = self.begin(store).await?;
        // The change holds the organization's row: what is read now stays true until it ends. One
        // that was made a line ago is not there for anybody else yet.
        let made_now = change.is_new();
        let mut present =
            if made_now { Present::default() } else { read_present(store, change.org()).await? };
        let mut mistakes = mistakes.to_vec();
        mistakes.extend(check::check(self.file, &present));
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        let plan = difference::plan(&present, self.file, &self.credentials.replaced(&present));
        if plan.lines.is_empty()
            && let Some(made) = committing.take()
        {
            // It was committed after all, and only its answer was lost.
            return Ok(made);
        }
        let operator = if made_now { store::installation::operator(store).await? } else { None };
        let without_owner = made_now && operator.is_none() && !people::names_owner(self.file);
        let before = applications::unanswered(&mut change).await?;
        let mut writer = Writer {
            change: &mut change,
            file: self.file,
            plan: &plan,
            credentials: &self.credentials,
            present: &mut present,
            operator,
            secrets: Vec::new(),
            invitations: Vec::new(),
        };
        // A plan is tried out too: what the store would refuse is refused now.
        writer.write().await?;
        let (secrets, invitations) = (writer.secrets, writer.invitations);
        let mut unanswered = applications::unanswered(&mut change).await?;
        // What the file does not name is left alone, but for what it leaves without anybody.
        let named: HashSet<things::Key> = self.file.applications.iter().map(key_of).collect();
        unanswered.retain(|left| {
            named.contains(&things::application_key(&left.group, &left.name)) || !before.contains(left)
        });
        if self.args.plan {
            if !made_now {
                change.would_hold().await?;
            }
            drop(change);
            return Ok(Outcome { plan, without_owner, unanswered, ..Outcome::default() });
        }
        let outcome = Outcome { plan, secrets, invitations, without_owner, unanswered };
        match change.commit().await {
            Ok(_) => Ok(outcome),
            Err(error) => {
                *committing = Some(outcome);
                Err(error.into())
            }
        }
    }

    /// Begins to change the organization, or to make it.
    async fn begin(&self, store: &Store) -> Result<Change, Failure> {
        if let Some(org) = self.known(store).await? {
            return Ok(Change::begin(store, self.permit(org)?).await?);
        }
        match self.found(store).await {
            // Somebody else has made it in this moment.
            Err(StoreError::Stale) => {
                let org = self.known(store).await?.ok_or(StoreError::NotFound)?;
                Ok(Change::begin(store, self.permit(org)?).await?)
            }
            other => Ok(other?),
        }
    }

    async fn known(&self, store: &Store) -> Result<Option<OrgId>, Failure> {
        let name = self.args.organization.as_deref().unwrap_or(self.organization.name.as_str());
        let known = store::organizations::find(store, Some(name)).await?;
        if known.is_none() && self.args.organization.is_some() {
            let sentence = format!("there is no organization {name}; --organization names one that exists");
            return Err(StoreError::invalid("organization", sentence).into());
        }
        Ok(known)
    }

    async fn found(&self, store: &Store) -> store::Result<Change> {
        let settings = people::settings(self.organization);
        store::organizations::found(store, &settings, |org| self.actor(org)).await
    }

    fn actor(&self, org: OrgId) -> Actor {
        let (name, role, door) = (self.file_name.clone(), Role::Owner, Door::File);
        Actor { org, user: None, name, role, leads: Vec::new(), door }
    }

    fn permit(&self, org: OrgId) -> Result<Permit, StoreError> {
        permit(&self.actor(org), Act::ApplyFile, Place::Organization)
            .map_err(|refused| StoreError::NotPermitted(refused.act))
    }
}

/// Reads an organization, with the master key it was written with.
async fn read_present(store: &Store, org: OrgId) -> store::Result<Present> {
    if !store::audit::fits_key(store, org).await? {
        let sentence =
            "this is not the master key of this installation; name its file with BURSAR_MASTER_KEY_FILE";
        return Err(StoreError::invalid("master key", sentence));
    }
    Present::read(store, org).await
}

/// Prints an organization as a file.
pub async fn export(config: Config, args: ExportArgs) -> Result<ExitCode, Fatal> {
    for left in (0..TRIES).rev() {
        let nothing =
            || Fatal::new("export", "there is nothing here yet; `bursar apply FILE` makes something");
        let database = Database::look(&config, Upgrade::Refuse).await?.ok_or_else(nothing)?;
        let text = export_text(&database.store, args.organization.as_deref()).await;
        let joined = database.joined();
        database.close().await;
        match text {
            Ok(Some(text)) => {
                say(&text)?;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(None) => return Err(Fatal::new("export", "there is no such organization")),
            Err(StoreError::Unavailable(_)) if joined && left > 0 => {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fatal::new("the private Postgres", "it stops and starts all the time; try again"))
}

async fn export_text(store: &Store, name: Option<&str>) -> store::Result<Option<String>> {
    let Some(org) = store::organizations::find(store, name).await? else { return Ok(None) };
    let actor = Actor {
        org,
        user: None,
        name: "bursar export".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::File,
    };
    let permit = permit(&actor, Act::ApplyFile, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    // Held while reading, so that the file is of one moment; then dropped.
    let change = Change::begin(store, permit).await?;
    let present = read_present(store, org).await?;
    drop(change);
    Ok(Some(exported::file(&present)))
}

fn file_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Fatal> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Fatal::new(&format!("{} cannot be read", path.display()), error))
}

/// Prints to standard output. A reader that went away is no reason to panic.
pub fn say(text: &str) -> Result<(), Fatal> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Fatal::new("standard output", error))
}
