//! The parts pages are made of.

pub mod badge;
pub mod chart;
pub mod combo;
pub mod context;
pub mod dialog;
pub mod form;
pub mod grid;
pub mod live;
pub mod load;
pub mod menu;
pub mod meter;
pub mod money;
pub mod moving;
pub mod nav;
pub mod once;
pub mod page;
pub mod picks;
pub mod query;
mod sending;
pub mod table;
pub mod time;
pub mod toast;
pub mod visit;

pub use badge::{Badge, Kind, StateMark};
pub use combo::Combobox;
pub use context::may;
pub use dialog::{Confirm, Dialog, OpenDialog};
pub use form::{Check, Field, FileField, Folded, Form, Hidden, Select, Submit, TextArea};
pub use load::{Empty, Load};
pub use menu::Menu;
pub use meter::{LimitMeter, Meter};
pub use moving::Moving;
pub use page::{Card, Head, Page};
pub use picks::{Tick, Ticks};
pub use table::{Pager, SortHead};
pub use time::{Ago, When};
