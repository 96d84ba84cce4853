//! The parts pages are made of.

pub mod at_once;
pub mod badge;
pub mod brush;
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
pub mod pick_group;
pub mod picks;
pub mod query;
mod sending;
pub mod shown_for;
pub mod suggested;
pub mod table;
pub mod time;
pub mod toast;
pub mod treegrid;
pub mod visit;

pub use badge::{Badge, Kind, StateMark};
pub use context::may;
pub use dialog::{Confirm, Dialog, OpenDialog};
pub use form::{
    AtOnce, Check, Consent, Field, FileField, Folded, Form, Hidden, Kept, Select, Submit, TextArea, asked,
};
pub use load::{Empty, Load};
pub use menu::Menu;
pub use meter::{LimitMeter, Meter};
pub use moving::Moving;
pub use page::{Card, Head, Page};
pub use pick_group::PickGroup;
pub use picks::{Tick, Ticks, Unticked};
pub use shown_for::ShownFor;
pub use table::{Pager, SortBy, SortHead};
pub use time::{Ago, When};
pub use treegrid::TreeKeys;
