//! What is recommended leads to the form that does it, filled in.

use crate::harness::Browser;

/// Addresses of the buttons on the page of recommendations.
async fn buttons(owner: &Browser) -> Vec<String> {
    let page = owner.get("/recommendations").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let list = page.text.split("<ul class=\"list recommendations\"").skip(1);
    let links = list.flat_map(|list| list.split("<a href=\"").skip(1));
    links
        .filter_map(|link| link.split_once('"'))
        .filter(|(_, rest)| rest.trim_start().starts_with("class=\"btn small\""))
        .map(|(href, _)| href.replace("&amp;", "&"))
        .collect()
}

/// Each recommendation leads to a page that is there, with what was proposed filled in.
pub async fn lead_to_filled_forms(owner: &Browser) {
    // They are looked for when the server starts, and then every few minutes.
    let found = async {
        loop {
            match buttons(owner).await {
                found if found.is_empty() => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                found => return found,
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), found).await.expect("in a minute");
    let mut limits = 0;
    for href in found {
        let page = owner.get(&href).await;
        assert_eq!(page.status, 200, "{href}");
        let proposed = |name: &str| href.split(['?', '&']).find_map(|pair| pair.strip_prefix(name));
        if let Some(say) = proposed("say=") {
            let chosen = format!("<option value=\"{say}\" selected");
            assert!(page.text.contains(&chosen), "{href}: {}", page.text);
        }
        if let Some(cap) = proposed("cap=") {
            limits += 1;
            assert!(page.text.contains(&format!("value=\"{cap}\"")), "{href}: {}", page.text);
        }
        if let Some(dialog) = proposed("dialog=") {
            assert!(
                page.text.contains(&format!("id=\"{dialog}\"")) || page.text.contains("<dialog"),
                "{href}"
            );
        }
    }
    assert!(limits > 0, "a limit far from use is among them");
}
