//! The directory of people.

use domain::{
    batches::Action,
    directory::{Between, Filter, Standing, Words},
    groups,
    money::{Money, grouped},
    roles::Act,
    time,
    users::{self, Role, UserRow, UserStatus},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    capital,
    members::address,
    users::{may_change, may_give, roles},
};
use crate::{
    api::{
        batches::PrepareBatch,
        directory::{Directory, load_directory},
        users::{CreateUser, SetUserLimit, SuspendUser},
    },
    ui::{
        Ago, Badge, Card, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Menu, Meter, OpenDialog,
        Page, Pager, PickGroup, Select, SortBy, SortHead, Submit, Tick, Ticks, badge::StatusMark,
        context::frame, may, pick_group, query, suggested::Suggested, table::Column,
    },
};

/// What people are put in order by: as heads of the table, and, where it is too narrow for heads, as a list.
const NAME: Column = Column::new("name", "Name").default();
const GROUPS: Column = Column::new("groups", "Groups");
const MONTH: Column = Column::new("spend", "Month").down();
const LIMIT: Column = Column::new("limit", "Limit");
const USED: Column = Column::new("used", "Used").down();
const STATUS: Column = Column::new("status", "Status");
const LAST_CALL: Column = Column::new("last_call", "Last call").down();
const ORDERS: [Column; 7] = [NAME, GROUPS, MONTH, LIMIT, USED, STATUS, LAST_CALL];

/// Everybody.
#[component]
pub fn DirectoryPage() -> impl IntoView {
    let words = Words::read(query::value);
    let filter = Filter::read(&words);
    let wrong = words.not_amounts().join(", ");
    let told = words.not_words().into_iter().map(|(what, text)| (what, query::nothing_called(text)));
    let told: Vec<_> = told.map(|(what, said)| format!("{said}: any {what} is shown.")).collect();
    let told = told.join(" ");
    let with_groups = matches!(query::value("dialog").as_str(), "group" | "invite");
    let (sort, after) = (query::value("sort"), query::value("after"));
    let users = load_directory(words, sort, after, with_groups);
    view! {
        <Page title="Users" live=true>
            <Load data=users let(directory)><Content directory filter wrong told/></Load>
        </Page>
    }
}

#[component]
fn Content(directory: Directory, filter: Filter, wrong: String, told: String) -> impl IntoView {
    let Directory { users, all, matching, default_limit, group, groups, defaults, next, unclear } = directory;
    let choices = groups.clone();
    let edit = may(Act::EditUsers);
    let nobody = users.is_empty();
    let limited = users.clone();
    let ticked = query::value("ticked");
    let ticked = |user: &UserRow| ticked.split(',').any(|id| id == user.id.to_string());
    let rows = users
        .into_iter()
        .map(|user| {
            let ticked = ticked(&user);
            view! { <Line user default_limit ticked/> }
        })
        .collect_view();
    view! {
        <Head title="Users" note=grouped(all.unsigned_abs())>
            <a class="btn" href=query::href(&[("after", None), ("dialog", None), ("cell", None)]).replacen("/users", "/users.csv", 1) download="users.csv">"Export"</a>
            {may(Act::ApplyFile).then(|| view! { <a class="btn" href="/users/import">"Import"</a> })}
            {edit.then(|| view! { <OpenDialog name="invite" label="Invite" look="btn go"/> })}
        </Head>
        <Filters filter=filter.clone() group=group.clone() matching all/>
        {unclear.map(|unclear| view! { <WhichGroup unclear/> })}
        {(!wrong.is_empty()).then(|| view! {
            <p class="banner warn" role="status">{format!("“{wrong}” is not an amount in dollars, so it is left out. ")}<a href=query::href(&[("dialog", Some("amounts"))]) data-within="">"Write it anew"</a></p>
        })}
        {(!told.is_empty()).then(|| view! { <p class="banner warn" role="status">{told}</p> })}
        <Ticks>
        <Card>
            {if nobody {
                view! {
                    <Empty title="Nobody matches" text="Look for another name or address, leave a filter out, or show everybody.">
                        <a class="btn" href="/users">"Show everybody"</a>
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Users">
                        <table class="table people">
                            <thead><tr>
                                {edit.then(|| view! { <th class="tick-cell"><label class="scripted"><input type="checkbox" class="tick-page" autocomplete="off"/><span>"Everybody on this page"</span></label></th> })}
                                <SortHead column=NAME/>
                                <th>"Role"</th>
                                <SortHead column=GROUPS/>
                                <SortHead column=MONTH class="r"/>
                                <SortHead column=LIMIT class="r"/>
                                <SortHead column=USED/>
                                <SortHead column=STATUS/>
                                <SortHead column=LAST_CALL/>
                                <th><span class="sr">"Actions"</span></th>
                            </tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next/>
        // What is ticked stays so, whomever a filter shows.
        {edit.then(|| view! { <Bar matching/> })}
        </Ticks>
        <LimitDialog users=limited default_limit/>
        <Dialog name="invite" title="Invite somebody" when=edit>
            <Form to=CreateUser::PATH>
                <Field name="name" label="Name"/>
                <Field name="email" label="Email" kind="email"/>
                <Select name="role" label="Role" options=roles() value="member" hint="Roles govern the console. They never open a model."/>
                <PickGroup name="group" label="Group" groups=choices.clone() none=if defaults.is_empty() { "No group" } else { "No other group" } hint=joins(&defaults)/>
                <div class="row end"><Submit label="Invite"/></div>
            </Form>
        </Dialog>
        <Dialog name="group" title="People of which group?">
            <GroupChoice groups=groups.clone() filter=filter.clone()/>
        </Dialog>
        <Dialog name="amounts" title="People by amounts">
            <AmountChoice/>
        </Dialog>
    }
}

/// What somebody new joins without being put there.
fn joins(defaults: &[String]) -> String {
    // As many as fit into a line or two.
    const NAMED: usize = 5;
    if defaults.is_empty() {
        return "Models come through groups: without one there is nothing they can use.".to_owned();
    }
    let named = defaults.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match defaults.len().saturating_sub(NAMED) {
        0 => format!("Also joins: {named}."),
        more => format!("Also joins: {named}, and {more} more."),
    }
}

/// The words for a group fit several, or none: they are the choice.
#[component]
fn WhichGroup(unclear: Vec<(String, String)>) -> impl IntoView {
    if unclear.is_empty() {
        return view! { <p class="banner warn">"No group is called that: everybody is shown. "<a href=query::href(&[("group", None), ("dialog", Some("group"))])>"Look for another name"</a></p> }.into_any();
    }
    let rows = unclear
        .into_iter()
        .map(|(id, path)| view! { <li><a href=query::href(&[("group", Some(&id)), ("after", None)])>{path}</a></li> })
        .collect_view();
    view! { <Card title="Which group?" note="several have these words in their path; everybody is shown until you choose"><ul class="list">{rows}</ul></Card> }.into_any()
}

/// Filters as chips; every one of them is in the address.
#[component]
fn Filters(filter: Filter, group: String, matching: i64, all: i64) -> impl IntoView {
    let any = !filter.is_empty() || !group.is_empty();
    let kept = kept(&["q"]);
    let nobody_left_out: Vec<_> =
        Words::NAMES.into_iter().chain(["after"]).map(|name| (name, None)).collect();
    let amounts = [("month", filter.month), ("limit", filter.cap)]
        .into_iter()
        .filter_map(|(what, between)| Some(format!("{what} {}", said(between)?)))
        .collect::<Vec<_>>()
        .join(", ");
    let limits = [
        (Standing::Near, "80 % or more used"),
        (Standing::Over, "nothing left"),
        (Standing::None, "no limit"),
    ];
    let limit = filter.limit.and_then(|now| limits.iter().find(|(standing, _)| *standing == now));
    view! {
        <div class="filters row">
            <form method="get" action="/users" class="row" role="search" data-within="">
                {kept}
                <input type="search" name="q" value=filter.search class="find" placeholder="Name or email" aria-label="Name or email"/>
                <button class="btn">"Search"</button>
            </form>
            <Menu id="by-status" label="Status" value=filter.status.map(|status| capital(status.as_str())).unwrap_or_default()>
                <Choices name="status" none="Any status" now=filter.status choices=UserStatus::ALL.iter().map(|status| (*status, capital(status.as_str()))).collect()/>
            </Menu>
            <a class="chip" href=query::href(&[("dialog", Some("group"))]) data-within="">"Group"{(!group.is_empty()).then(|| view! { <b>{format!("{group} and below")}</b> })}</a>
            <Menu id="by-role" label="Role" value=filter.role.map(|role| capital(role.as_str())).unwrap_or_default()>
                <Choices name="role" none="Any role" now=filter.role choices=Role::ALL.iter().map(|role| (*role, capital(role.as_str()))).collect()/>
            </Menu>
            <Menu id="by-limit" label="Limit" value=limit.map(|(_, text)| *text).unwrap_or_default()>
                <Choices name="limit" none="Any limit" now=filter.limit choices=limits.iter().map(|(standing, text)| (*standing, capital(text))).collect()/>
            </Menu>
            <a class="chip" href=query::href(&[("dialog", Some("amounts"))]) data-within="">"Amounts"{(!amounts.is_empty()).then(|| view! { <b>{amounts.clone()}</b> })}</a>
            {(matching > 0).then(|| view! { <span class="narrow-only"><SortBy columns=&ORDERS/></span> })}
            {any.then(|| view! {
                <span class="muted num" role="status">{format!("{} of {}", grouped(matching.unsigned_abs()), grouped(all.unsigned_abs()))}</span>
                <a class="link" href=query::href(&nobody_left_out)>"Show everybody"</a>
            })}
        </div>
    }
}

/// Amounts that something is compared with, in words; none when there are none.
fn said(between: Between) -> Option<String> {
    let over = between.over.map(|over| format!("over {}", over.in_full()));
    let under = between.under.map(|under| format!("under {}", under.in_full()));
    let words: Vec<String> = over.into_iter().chain(under).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

/// The rest of what the address says about whom to show and in which order, to go along with a form.
fn kept(but: &[&str]) -> impl IntoView + use<> {
    Words::NAMES
        .into_iter()
        .chain(["sort"])
        .filter(|name| !but.contains(name))
        .map(|name| (name, query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <Hidden name value/> })
        .collect_view()
}

/// What can be done with everybody who is selected. Without script it is there as soon as a box is
/// ticked, too: the style sheet sees to it.
#[component]
fn Bar(matching: i64) -> impl IntoView {
    let actions = [
        (Action::Join, "Add to a group…"),
        (Action::Leave, "Remove from a group…"),
        (Action::Limit, "Set limit…"),
        (Action::Role, "Role…"),
        (Action::Suspend, "Suspend…"),
        (Action::Reinstate, "Let in again…"),
        (Action::Invite, "Invite again…"),
    ];
    let buttons = actions
        .into_iter()
        .map(|(action, label)| view! { <button class="btn small" name="action" value=action.as_str()>{label}</button> })
        .collect_view();
    view! {
        <div class="bar">
            <Form to=PrepareBatch::PATH id="many" class="bar-form">
                {kept(&["sort"])}
                <Hidden name="shown" value=matching.to_string()/>
                <span class="ticked-elsewhere"></span>
                <div class="row">
                    <b class="ticked" role="status">"Those selected"</b>
                    {(matching > 0).then(|| view! { <label class="check"><input type="checkbox" class="tick-all" name="all" value="true" autocomplete="off"/><span>{format!("All {} that match", grouped(matching.unsigned_abs()))}</span></label> })}
                </div>
                <div class="row end">{buttons}<button class="btn small" formaction="/users.csv" formmethod="get">"Export"</button></div>
            </Form>
        </div>
    }
}

/// The words of one filter, as links.
#[component]
fn Choices<T: Copy + PartialEq + ToString + Send + 'static>(
    name: &'static str,
    none: &'static str,
    now: Option<T>,
    choices: Vec<(T, String)>,
) -> impl IntoView {
    let link = |value: Option<T>, text: String| {
        let word = value.map(|value| value.to_string());
        let href = query::href(&[(name, word.as_deref()), ("after", None)]);
        view! { <li><a href=href data-within="" aria-current=(now == value).then_some("true")>{text}</a></li> }
    };
    let first = link(None, none.to_owned());
    let rest = choices.into_iter().map(|(value, text)| link(Some(value), text)).collect_view();
    view! { <ul>{first}{rest}</ul> }
}

#[component]
fn GroupChoice(groups: Vec<(String, String)>, filter: Filter) -> impl IntoView {
    let now = filter.group.map(|id| id.to_string()).unwrap_or_default();
    if groups.len() > pick_group::LISTED {
        return view! {
            <form method="get" action="/users" class="form" data-within="">
                {kept(&["group"])}
                <div class="field">
                    <label for="of-group">"Group"</label>
                    <Suggested><input id="of-group" name="group" aria-describedby="of-group-hint"/></Suggested>
                    <p class="hint" id="of-group-hint">"Its name or path: Engineering/Platform. Its members are shown, and those of every group below it. Empty: any group."</p>
                </div>
                <div class="row end"><button class="btn go">"Show them"</button></div>
            </form>
        }
        .into_any();
    }
    let options = std::iter::once((String::new(), "Any group, or none".to_owned()))
        .chain(groups)
        .map(|(id, path)| {
            let chosen = id == now;
            view! { <option value=id selected=chosen>{path}</option> }
        })
        .collect_view();
    view! {
        <form method="get" action="/users" class="form" data-within="">
            {kept(&["group"])}
            <div class="field">
                <label for="of-group">"Group"</label>
                <select id="of-group" name="group" aria-describedby="of-group-hint">{options}</select>
                <p class="hint" id="of-group-hint">"Its members, and those of every group below it."</p>
            </div>
            <div class="row end"><button class="btn go">"Show them"</button></div>
        </form>
    }
    .into_any()
}

/// Amounts to compare the month and the limit with.
#[component]
fn AmountChoice() -> impl IntoView {
    let field = |name: &'static str, label: &'static str| {
        let id = format!("by-{name}");
        view! {
            <div class="field">
                <label for=id.clone()>{label}</label>
                <input id=id.clone() name=name value=query::value(name) inputmode="decimal" autocomplete="off"/>
            </div>
        }
    };
    view! {
        <form method="get" action="/users" class="form" data-within="">
            {kept(&Words::AMOUNTS)}
            <fieldset>
                <legend>"Spent this month, in US dollars"</legend>
                <div class="pair">{field("month_over", "Over")}{field("month_under", "Under")}</div>
            </fieldset>
            <fieldset aria-describedby="by-limit-hint">
                <legend>"Monthly limit that applies"</legend>
                <div class="pair">{field("limit_over", "Over")}{field("limit_under", "Under")}</div>
                <p class="hint" id="by-limit-hint">"Where no limit applies, it is over any amount."</p>
            </fieldset>
            <div class="row end"><button class="btn go">"Show them"</button></div>
        </form>
    }
}

/// Badges that fit into a line.
const BADGES: usize = 3;

/// What a badge says, and where it leads: to everybody of that group.
fn said_of(badge: &users::Badge) -> (String, String) {
    let name = &badge.name;
    let text = match badge.ends_at {
        _ if badge.ended_on.is_some() => {
            let last = badge.ended_on.map(time::day).unwrap_or_default();
            format!("{name} · ended {last}")
        }
        _ if badge.inherited => format!("{name} · inherited"),
        // It ends at a midnight: what is said is the last day.
        Some(end) => {
            let last = frame().zone.local(end - chrono::Duration::seconds(1)).date();
            format!("{name} · through {}", time::day(last))
        }
        None if badge.standing == groups::Standing::Lead => format!("{name} · lead"),
        None => name.clone(),
    };
    (text, query::href(&[("group", Some(&badge.group.to_string())), ("after", None)]))
}

/// The groups of somebody, their own first.
#[component]
fn Badges(user: UserRow) -> impl IntoView {
    let none = user.groups.is_empty();
    let (first, rest) = user.groups.split_at(user.groups.len().min(BADGES));
    let badges = first
        .iter()
        .map(|badge| {
            let (text, href) = said_of(badge);
            let kind = match badge.ended_on {
                Some(_) => Kind::Bad,
                None if badge.inherited => Kind::Inherited,
                None => Kind::Plain,
            };
            view! { <Badge text kind href=href/>" " }
        })
        .collect_view();
    let more = (!rest.is_empty()).then(|| {
        let count = rest.len();
        let rows = rest
            .iter()
            .map(|badge| {
                let (text, href) = said_of(badge);
                view! { <li><a href=href>{text}</a></li> }
            })
            .collect_view();
        let name = format!("{count} more groups of {}", user.name);
        view! {
            <Menu id=format!("more-{}", user.id) label=format!("+{count}") name look="badge more">
                <ul>{rows}</ul>
            </Menu>
        }
    });
    view! {
        {badges}
        {more}
        {none.then(|| view! { <span class="muted">"none"</span> })}
    }
}

#[component]
fn Line(user: UserRow, default_limit: Option<Money>, ticked: bool) -> impl IntoView {
    let limit = user.limit(default_limit);
    let level = domain::limits::Level { settled: user.spend.0, held: user.held.0 };
    let id = user.id.to_string();
    view! {
        <tr>
            {may(Act::EditUsers).then(|| view! { <td class="tick-cell"><Tick form="many" name="users[]" value=id.clone() label=format!("Select {}", user.name) checked=ticked/></td> })}
            <td class="who"><a href=format!("/users/{id}")><b>{user.name.clone()}</b></a><div class="sub">{address(&user.email)}</div></td>
            <td class="role" data-th="Role">{capital(user.role.as_str())}</td>
            <td class="groups"><Badges user=user.clone()/></td>
            <td class="month r num" data-th="Month">{user.spend.to_string()}</td>
            <td class="limit r num" data-th="Limit"><LimitCell user=user.clone() default_limit/></td>
            <td class="used meter-cell" data-th=limit.map(|_| "Used")>{limit.map(|limit| view! { <Meter level cap=limit.0 text=format!("{} of {} this month", user.spend, limit.in_full()) small=true/> })}</td>
            <td class="status-cell nw" data-th="Status"><StatusMark status=user.status/></td>
            <td class="last nw" data-th="Last call">{match user.status {
                UserStatus::Invited => view! { <span class="muted">"invited "<Ago at=user.invited_at/></span> }.into_any(),
                _ => view! { <Ago at=user.last_call/> }.into_any(),
            }}</td>
            <td class="acts r"><RowMenu user/></td>
        </tr>
    }
}

/// What it is without a limit of their own.
fn without_own(default_limit: Option<Money>) -> String {
    let default = default_limit
        .map_or_else(|| "no limit".to_owned(), |limit| format!("{}, the default", limit.in_full()));
    format!("Empty: {default}")
}

/// The limit of somebody in a dialog: from the menu of their line, on pages of every width.
#[component]
fn LimitDialog(users: Vec<UserRow>, default_limit: Option<Money>) -> impl IntoView {
    let who = query::value("who");
    let user = users.into_iter().find(|user| user.id.to_string() == who && may(Act::LoosenLimits));
    user.map(|user| {
        let own = user.own_limit.map(|own| own.exact()).unwrap_or_default();
        view! {
            <Dialog name="limit" title=format!("Monthly limit of {}", user.name)>
                <Form to=SetUserLimit::PATH which="dialog">
                    <Hidden name="id" value=user.id.to_string()/>
                    <Hidden name="was" value=own.clone()/>
                    <Field name="cap" label="Dollars a month" value=own.clone() inputmode="decimal" optional=true hint=without_own(default_limit)/>
                    <div class="row end"><Submit label="Save"/></div>
                </Form>
            </Dialog>
        }
    })
}

/// The limit, which is set where it stands: `?cell=…` opens it.
#[component]
fn LimitCell(user: UserRow, default_limit: Option<Money>) -> impl IntoView {
    let id = user.id.to_string();
    let set = may(Act::LoosenLimits);
    let name = user.name.clone();
    if set && query::value("cell") == id {
        return view! {
            <Form to=SetUserLimit::PATH which=id.clone() class="cell-form">
                <Hidden name="id" value=id.clone()/>
                <Hidden name="was" value=user.own_limit.map(|own| own.exact()).unwrap_or_default()/>
                <Field
                    name="cap" label=format!("Monthly limit of {name}") value=user.own_limit.map(|own| own.exact()).unwrap_or_default()
                    inputmode="decimal" optional=true hint=without_own(default_limit)
                />
                <div class="row end">
                    <a class="btn small" href=query::href(&[("cell", None)]) data-within="">"Cancel"</a>
                    <Submit label="Save" look="go small"/>
                </div>
            </Form>
        }.into_any();
    }
    let text = match (user.own_limit, default_limit) {
        (Some(own), _) => view! { {own.in_full()} }.into_any(),
        (None, Some(default)) => {
            view! { <span class="muted">{default.in_full()}</span><div class="sub">"default"</div> }
                .into_any()
        }
        (None, None) => view! { <span class="muted">"no limit"</span> }.into_any(),
    };
    if !set {
        return text;
    }
    view! {
        <a class="in-place" href=query::href(&[("cell", Some(&id))]) data-within="">{text}<span class="sr">{format!(": set the limit of {name}")}</span></a>
    }
    .into_any()
}

#[component]
fn RowMenu(user: UserRow) -> impl IntoView {
    let id = user.id.to_string();
    let edit = may(Act::EditUsers);
    let (over, changes_them) = (edit && may_give(user.role), may_change(user.id, user.role));
    let person = format!("/users/{id}");
    let status = user.status;
    view! {
        <Menu id=format!("menu-{id}") label="⋯" name=format!("Actions for {}", user.name) look="btn small dots">
            <ul>
                <li><a href=person.clone()>"Open"</a></li>
                <li><a href=format!("/calls?user={id}")>"Calls"</a></li>
                {changes_them.then(|| view! { <li><a href=format!("{person}?dialog=edit")>"Edit"</a></li> })}
                {edit.then(|| view! {
                    {may(Act::LoosenLimits).then(|| view! { <li><a href=query::href(&[("cell", None), ("dialog", Some("limit")), ("who", Some(&id))]) data-within="">"Set the limit"</a></li> })}
                    <li><a href=format!("{person}?dialog=join")>"Add to a group"</a></li>
                })}
                {over.then(|| view! {
                    {(status == UserStatus::Invited).then(|| view! { <li><a href=format!("{person}?dialog=invite")>"Invite again"</a></li> })}
                    {if status == UserStatus::Suspended {
                        view! {
                            <li><Form to=SuspendUser::PATH which=id.clone()>
                                <Hidden name="id" value=id.clone()/><Hidden name="suspended" value="false"/>
                                <button class="menu-do">"Let in again"</button>
                            </Form></li>
                        }.into_any()
                    } else {
                        view! { <li><a href=format!("{person}?dialog=suspend")>"Suspend"</a></li> }.into_any()
                    }}
                })}
            </ul>
        </Menu>
    }
}
