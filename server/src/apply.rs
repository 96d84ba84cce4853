//! `bursar apply` and `bursar export`: an organization as a file.
//!
//! # What a file touches
//!
//! - What the file does not name is left alone: other groups, people, models, applications stay as
//!   they are, and nothing is archived because a file does not mention it.
//! - What the file names becomes what the file says. A field that is left out gets its default, a
//!   list that is left out is empty. So the limits of a named thing, the authorizations of a named
//!   group and the memberships of a named person are exactly those of the file; others are removed,
//!   and the plan shows them with a minus. Three things never are: memberships that came by
//!   themselves (a default group, an identity provider), grants, and secrets.
//! - `[organization]` with nothing but a name only says which organization is meant. With any other
//!   field it is named like everything else: its settings, its limits and the baseline
//!   authorizations (those without a group) are the file's.
//! - A credential is never in a file; a provider names the environment variable it is in. A provider
//!   that leaves `credential` out keeps the one it has, `credential = "none"` takes it away, and an
//!   optional variable that is not set leaves what came from it before.
//! - `service_secret = true` makes a secret for an application that has never had one, and shows it
//!   once. A secret that was revoked stays revoked.
//! - A thing is found by its name: a person by address, a group by path, an application by group and
//!   name. Under a new name it is a new thing; only an organization can be renamed, with
//!   `--organization` and the name it has now.
//!
//! # Who gets in
//!
//! People the file adds are invited, as from the console; the links are printed once. An
//! organization made by a file has the owner the file names. If it names none, whoever set the
//! installation up owns it, or, on a new installation, whoever opens `/setup` with the token that
//! `bursar serve` prints. Somebody whose address is in the file keeps the role the file gives them.

mod check;
mod credentials;
mod difference;
mod document;
mod export;
mod fields;
mod mistakes;
mod present;
mod print;
mod read;
mod run;
mod things;
mod write;

pub use run::{ApplyArgs, ExportArgs, apply, export, say};
