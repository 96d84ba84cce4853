//! The style sheet: one file for the browser out of many for people.

use std::path::Path;

use lightningcss::bundler::{Bundler, FileProvider};
use lightningcss::dependencies::{Dependency, DependencyOptions};
use lightningcss::printer::PrinterOptions;
use lightningcss::stylesheet::{MinifyOptions, ParserOptions};
use lightningcss::targets::{Browsers, Features, Targets};

use crate::outcome::{Failure, Outcome, Trying};

/// A version as lightningcss counts.
const fn version(major: u32) -> Option<u32> {
    Some(major << 16)
}

/// What the style sheet is for: browsers of late 2024. It is only given the prefixes that some of
/// them want. Nothing is rewritten for older ones: all of these know nesting, `light-dark()` and
/// `oklch()`, which stay as they are written.
fn targets() -> Targets {
    let browsers = Browsers {
        chrome: version(131),
        edge: version(131),
        firefox: version(132),
        ios_saf: version(18),
        safari: version(18),
        ..Browsers::default()
    };
    let exclude = Features::all().difference(Features::VendorPrefixes);
    Targets { browsers: Some(browsers), exclude, ..Targets::default() }
}

/// Gathers a style sheet and everything it imports into one, without white space, and with other
/// names for the files it mentions.
///
/// `name_of` gets each `url()` as it is written and answers with the name the file is served
/// under; none if there is no such file.
pub fn bundle(main: &Path, name_of: impl Fn(&str) -> Option<String>) -> Outcome<String> {
    let sources = FileProvider::new();
    let mut bundler = Bundler::new(&sources, None, ParserOptions::default());
    let targets = targets();
    let what = format!("The style sheet {} cannot be built", main.display());
    let mut sheet = bundler.bundle(main).trying(&what)?;
    sheet.minify(MinifyOptions { targets, ..MinifyOptions::default() }).trying(&what)?;
    let printed = sheet.to_css(PrinterOptions {
        minify: true,
        targets,
        analyze_dependencies: Some(DependencyOptions { remove_imports: false }),
        ..PrinterOptions::default()
    });
    let printed = printed.trying(&what)?;
    let mut code = printed.code;
    for dependency in printed.dependencies.unwrap_or_default() {
        if let Dependency::Url(mention) = dependency {
            let name = served_name(&mention.url, &name_of).ok_or_else(|| {
                let (file, line) = (&mention.loc.file_path, mention.loc.start.line);
                Failure::new(format!(
                    "{file}:{line}: url({}) is neither a file in style/assets nor a font: correct its name.",
                    mention.url
                ))
            })?;
            code = code.replace(&mention.placeholder, &name);
        }
    }
    Ok(code)
}

/// What is inside the style sheet itself, or elsewhere on the page, keeps its name.
fn served_name(url: &str, name_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    if url.starts_with("data:") || url.starts_with('#') {
        return Some(url.to_owned());
    }
    let name = url.trim_start_matches("./").trim_start_matches("../").trim_start_matches("assets/");
    name_of(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn built(name: &str, files: &[(&str, &str)]) -> Outcome<String> {
        let folder = std::env::temp_dir().join(format!("bursar-css-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, content) in files {
            fs::write(folder.join(file), content).unwrap();
        }
        let css = bundle(&folder.join("main.css"), |url| {
            (url == "inter.woff2").then(|| "inter.0123.woff2".to_owned())
        });
        fs::remove_dir_all(&folder).unwrap();
        css
    }

    #[test]
    fn imports_become_one_small_sheet_in_order() {
        let css = built(
            "imports",
            &[
                ("main.css", "@layer a, b;\n@import 'tokens.css' layer(a);\n@import 'button.css' layer(b);"),
                ("tokens.css", ":root { --gap: 8px; }"),
                ("button.css", "button { padding: var(--gap); &:hover { color: red } }"),
            ],
        );
        let expected = "@layer a{:root{--gap:8px}}\
                        @layer b{button{padding:var(--gap);&:hover{color:red}}}";
        assert_eq!(css.unwrap(), expected);
    }

    #[test]
    fn current_colours_stay_as_they_are_written() {
        let css = built(
            "colours",
            &[(
                "main.css",
                ":root { color-scheme: light dark; --ink: light-dark(oklch(0.2 0.02 250), oklch(0.95 0.01 250)); }
                 p { color: oklch(0.2 0.02 250 / 50%); background: color-mix(in oklch, var(--ink) 10%, white); }
                 b { color: light-dark(oklch(20% 0.02 250), #fff) }",
            )],
        )
        .unwrap();
        for kept in ["color-scheme:light dark", "light-dark(oklch(", "color:oklch(", "color-mix(in oklch,"] {
            assert!(css.contains(kept), "{css}");
        }
        assert!(!css.contains("--lightningcss"), "{css}");
    }

    #[test]
    fn a_font_gets_the_name_it_is_served_under() {
        let css = built(
            "font",
            &[("main.css", "@font-face { font-family: Inter; src: url('inter.woff2') format('woff2'); }")],
        );
        assert!(css.unwrap().contains("url(\"inter.0123.woff2\")"));
    }

    #[test]
    fn a_picture_inside_the_sheet_stays() {
        let css = built("inside", &[("main.css", "p { background: url('data:image/svg+xml,%3Csvg/%3E'); }")]);
        assert!(css.unwrap().contains("data:image/svg+xml,%3Csvg/%3E"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_place() {
        let failure = built("missing", &[("main.css", "p {}\np { background: url(assets/nothing.svg); }")]);
        let sentence = failure.unwrap_err().to_string();
        assert!(sentence.contains("main.css:2") && sentence.contains("assets/nothing.svg"), "{sentence}");
    }
}
