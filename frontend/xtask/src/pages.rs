//! What each page of the console costs the server, with the demo behind it.
//!
//! Pages are found as a person finds them: what the navigation leads to, and from each of those
//! the first thing below it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::outcome::{Outcome, Trying, fail};
use crate::setup::Purpose;
use crate::started::Started;
use crate::visitor::Visitor;
use crate::workspace::Workspace;
use crate::{command, files, native, setup};

/// Who looks: their part in the demo, and the front of their address.
const WHO: [(&str, &str); 3] = [("owner", "olga"), ("lead", "lin"), ("member", "sam")];

/// What the demo's people sign in with.
const PASSWORD: &str = "this-is-a-demo";

/// What a console page may take at p99.
const GOAL: Duration = Duration::from_millis(50);

/// One page, asked for many times.
struct Row {
    who: &'static str,
    page: String,
    status: u16,
    bytes: usize,
    times: Vec<Duration>,
}

/// How large the demo is.
#[derive(clap::Args)]
pub struct Size {
    /// About how many calls the demo's story has
    #[arg(long, default_value_t = 100_000)]
    calls: u32,
    /// A crowd of this many people more
    #[arg(long, default_value_t = 0)]
    people: u32,
    /// In this many groups
    #[arg(long, default_value_t = 0)]
    groups: u32,
    /// With this many calls of theirs
    #[arg(long, default_value_t = 0)]
    events: u64,
}

/// Builds what people would run, fills a demo of its own, and measures.
pub fn measure(workspace: &Workspace, times: usize, size: &Size, only: &str) -> Outcome {
    setup::everything(workspace, Purpose::Run)?;
    native::build(workspace, true)?;
    let mut demo = Demo::start(workspace, size)?;
    let looked = look_at(&demo.server.base, times, only);
    demo.stop()?;
    looked?;
    print_bundle(workspace)
}

/// Measures a demo that runs.
pub fn look_at(base: &str, times: usize, only: &str) -> Outcome {
    let mut rows = Vec::new();
    for (who, name) in WHO {
        let mut visitor = Visitor::to(base)?;
        visitor.sign_in(&format!("{name}@acme.example"), PASSWORD)?;
        let mut asked = pages(&mut visitor)?;
        if who == WHO[0].0 {
            asked.extend(variations(&mut visitor)?);
        }
        for page in asked.into_iter().filter(|page| page.contains(only)) {
            rows.push(look(&mut visitor, who, page, times)?);
        }
    }
    print_rows(&rows);
    Ok(())
}

/// The same pages as people use them: in every order, filtered, searched, far down, unfolded.
const VARIATIONS: [&str; 69] = [
    "/users?sort=-name",
    "/users?sort=groups",
    "/users?sort=-groups",
    "/users?month_over=1&limit_under=100&sort=-spend",
    "/users?sort=status",
    "/users?sort=-spend",
    "/users?sort=limit",
    "/users?sort=-used",
    "/users?sort=-last_call",
    "/users?q=silva",
    "/users?q=person-4321",
    "/users?q=nobody-is-called-that",
    "/users?status=active",
    "/users?status=inactive&sort=-last_call",
    "/users?status=suspended",
    "/users?role=admin",
    "/users?limit=near",
    "/users?limit=over&sort=-used",
    "/users?limit=none",
    "/users?group={group}",
    "/users?group={group}&sort=-spend",
    "/groups?open={group}",
    "/groups?q=team",
    "/users?limit=near&sort=-spend",
    "/users?group={group}&status=inactive&sort=last_call",
    "/users?dialog=group",
    "/users/{user}",
    "/groups/{group}",
    "/groups/{group}?dialog=add&find=silva",
    "/authorization?q=retail",
    "/authorization?open={group}",
    "/authorization?q={group}",
    "/applications?q=search",
    "/applications?unused=1",
    "/limits?q=retail",
    "/spend?range=days",
    "/spend?range=year",
    "/spend?by=user",
    "/spend?by=application",
    "/spend?by=model",
    "/spend/{group}",
    "/spend/{group}?view=members",
    "/spend/{group}?range=year",
    "/spend/{group}?view=members&range=year",
    "/spend/{user}?range=year",
    "/spend/{group}?by=user",
    "/explore?by=model&measure=tokens",
    "/explore?by=feature",
    "/explore?by=use_case",
    "/explore?by=user&measure=calls&interval=week",
    "/explore?by=group",
    "/explore?user={user}&by=model",
    "/explore?group={group}&by=model",
    "/explore?group={group}&view=members&by=application",
    "/explore?by=user",
    "/explore?by=application",
    "/explore?by=group&interval=month",
    "/explore?by=tier&measure=calls",
    "/explore?group={group}&by=user",
    "/calls?group={group}",
    "/calls?user={user}",
    "/calls?group={group}&view=members",
    "/calls?outcome=upstream_error",
    "/calls?outcome=refused",
    "/calls?outcome=finished",
    "/audit?kind=membership",
    "/audit?who=olga",
    "/audit?field=name",
    "/audit?door=console",
];

/// How many pages on "far down" is.
const FAR: usize = 20;

/// Every variation, about a large group and somebody who spends.
fn variations(visitor: &mut Visitor) -> Outcome<Vec<String>> {
    let group = first(visitor, "/groups", "/groups/")?;
    let user = first(visitor, "/users?sort=-spend", "/users/")?;
    let named = |page: &&str| page.replace("{group}", &group).replace("{user}", &user);
    let mut pages: Vec<String> = VARIATIONS.iter().map(named).collect();
    pages.extend(preview(visitor)?);
    for list in ["/users", "/users?sort=-spend", "/audit", "/calls", "/applications"] {
        let mut page = list.to_owned();
        for _ in 0..FAR {
            let body = text(visitor.get(&page)?.body);
            match body
                .split("href=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .find(|link| link.contains("after="))
            {
                Some(next) => page = next.replace("&amp;", "&"),
                None => break,
            }
        }
        pages.push(page);
    }
    Ok(pages)
}

/// What a limit for many people would do.
fn preview(visitor: &mut Visitor) -> Outcome<Option<String>> {
    let page = text(visitor.get("/users?q=silva")?.body);
    let shown = page.split("name=\"shown\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let asked = format!("action=limit&all=true&q=silva&shown={}", shown.unwrap_or_default());
    let body = text(visitor.post("/console/batches/prepare", &asked)?.body);
    let link = body.split('"').find(|part| part.starts_with("/users/batch/"));
    Ok(link.map(|link| format!("{link}&cap=50")))
}

/// The id in the first link of a page that begins so: of what there is most of, the last one.
fn first(visitor: &mut Visitor, page: &str, start: &str) -> Outcome<String> {
    let body = text(visitor.get(page)?.body);
    let mut ids = links(&body).into_iter().filter_map(|link| link.strip_prefix(start).map(str::to_owned));
    let id = ids.rfind(|id| id.contains('_') && !id.contains('/'));
    id.map_or_else(|| fail(format!("{page} leads to nothing that begins with {start}.")), Ok)
}

/// A demo in a folder of its own: Postgres may run as somebody who cannot enter the checkout.
struct Demo {
    server: Started,
    folder: PathBuf,
}

impl Demo {
    fn start(workspace: &Workspace, size: &Size) -> Outcome<Demo> {
        let mut server = command::new(workspace, native::binary(workspace, true));
        let folder = PathBuf::from("/var/tmp").join(format!("bursar-pages-{}", std::process::id()));
        server.args(["demo", "--quiet", "--calls", &size.calls.to_string()]);
        server.args(["--people", &size.people.to_string(), "--groups", &size.groups.to_string()]);
        server.args(["--events", &size.events.to_string()]);
        server.env_remove("DATABASE_URL").env("BURSAR_DATA_DIR", &folder).env("BURSAR_ADDR", "127.0.0.1:0");
        command::show(workspace, &server);
        Ok(Demo { server: Started::start(&mut server)?, folder })
    }

    fn stop(&mut self) -> Outcome {
        self.server.stop()?;
        files::remove_folder(&self.folder)
    }
}

/// What the navigation leads to, and the first thing below each.
fn pages(visitor: &mut Visitor) -> Outcome<Vec<String>> {
    let home = text(visitor.get("/")?.body);
    let mut pages = vec!["/".to_owned()];
    for link in links(&home) {
        let apart = ["/assets/", "/console/", "/v1/", "/sign-in"].iter().any(|start| link.starts_with(start));
        let deep = link.matches('/').count() > 1;
        if !apart && !deep && !pages.contains(&link) {
            pages.push(link);
        }
    }
    for page in pages.clone() {
        let body = text(visitor.get(&page)?.body);
        let below =
            links(&body).into_iter().find(|link| page != "/" && link.starts_with(&format!("{page}/")));
        pages.extend(below);
    }
    pages.sort();
    pages.dedup();
    Ok(pages)
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8_lossy(&body).into_owned()
}

/// Every link to a page of this console, without what stands behind a question mark.
fn links(html: &str) -> Vec<String> {
    let parts = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let paths = parts.filter_map(|link| link.split(['?', '#']).next()).filter(|path| path.starts_with('/'));
    paths.map(str::to_owned).collect()
}

fn look(visitor: &mut Visitor, who: &'static str, page: String, times: usize) -> Outcome<Row> {
    let first = visitor.get(&page)?;
    let mut row = Row { who, page, status: first.status, bytes: first.body.len(), times: Vec::new() };
    for _ in 0..times {
        row.times.push(visitor.get(&row.page)?.time);
    }
    row.times.sort();
    Ok(row)
}

impl Row {
    /// The time this share of the answers took at most.
    fn percentile(&self, percent: usize) -> Duration {
        let place = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(place).copied().unwrap_or_default()
    }
}

fn print_rows(rows: &[Row]) {
    println!("{:<8} {:<52} {:>6} {:>9} {:>9} {:>9}", "who", "page", "status", "p50 ms", "p99 ms", "kB");
    for row in rows {
        let slow = if row.percentile(99) > GOAL { "  over the goal" } else { "" };
        println!(
            "{:<8} {:<52} {:>6} {:>9.1} {:>9.1} {:>9.1}{slow}",
            row.who,
            row.page,
            row.status,
            row.percentile(50).as_secs_f64() * 1000.0,
            row.percentile(99).as_secs_f64() * 1000.0,
            row.bytes as f64 / 1000.0,
        );
    }
}

/// What a browser loads once.
fn print_bundle(workspace: &Workspace) -> Outcome {
    println!("\n{:<52} {:>9} {:>9}", "bundle", "kB", "brotli kB");
    let mut found = files::under(&workspace.site())?;
    found.sort();
    for file in found {
        let compressed =
            file.with_file_name(format!("{}.br", file.file_name().unwrap_or_default().display()));
        if !compressed.is_file() {
            continue;
        }
        let size = |path| fs::metadata(path).map(|found| found.len() as f64 / 1000.0).trying("The site");
        let name = file.file_name().unwrap_or_default().display().to_string();
        println!("{name:<52} {:>9.1} {:>9.1}", size(&file)?, size(&compressed)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_and_not_elsewhere() {
        let html = r##"<a href="/users?q=a">x</a><a href="#top">y</a><a href="https://a.example/">z</a><a href="/groups/g#m">w</a>"##;
        assert_eq!(links(html), ["/users", "/groups/g"]);
    }

    #[test]
    fn the_99th_of_200_is_the_198th() {
        let times = (1..=200).map(Duration::from_millis).collect();
        let row = Row { who: "owner", page: "/".to_owned(), status: 200, bytes: 0, times };
        assert_eq!(row.percentile(99), Duration::from_millis(198));
        assert_eq!(row.percentile(50), Duration::from_millis(100));
    }
}
