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

    /// OKLab of a colour in OKLCH as somebody sees it: `seen` is what becomes of linear RGB (Machado,
    /// Oliveira and Fernandes, 2009, in full).
    fn oklab([lightness, chroma, hue]: [f64; 3], seen: [[f64; 3]; 3]) -> [f64; 3] {
        let (a, b) = (chroma * hue.to_radians().cos(), chroma * hue.to_radians().sin());
        let cones = [
            (0.396_337_777_4, 0.215_803_757_3),
            (-0.105_561_345_8, -0.063_854_172_8),
            (-0.089_484_177_5, -1.291_485_548),
        ]
        .map(|(x, y)| (lightness + x * a + y * b).powi(3));
        let times = |matrix: [[f64; 3]; 3], by: [f64; 3]| {
            matrix.map(|row| row.iter().zip(by).map(|(x, y)| x * y).sum::<f64>())
        };
        let rgb = times(
            [
                [4.076_741_662_1, -3.307_711_591_3, 0.230_969_929_2],
                [-1.268_438_004_6, 2.609_757_401_1, -0.341_319_396_5],
                [-0.004_196_086_3, -0.703_418_614_7, 1.707_614_701],
            ],
            cones,
        );
        let rgb = times(seen, rgb.map(|part| part.clamp(0.0, 1.0))).map(|part| part.clamp(0.0, 1.0));
        let cones = times(
            [
                [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
                [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
                [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
            ],
            rgb,
        )
        .map(f64::cbrt);
        times(
            [
                [0.210_454_255_3, 0.793_617_785, -0.004_072_046_8],
                [1.977_998_495_1, -2.428_592_205, 0.450_593_709_9],
                [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766],
            ],
            cones,
        )
    }

    #[test]
    fn series_are_told_apart_by_those_who_do_not_see_every_colour() {
        let tokens =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../style/tokens.css")).unwrap();
        let colours: Vec<[[f64; 3]; 2]> = (1..=8)
            .map(|number| {
                let line = tokens.lines().find(|line| line.contains(&format!("--s{number}:"))).unwrap();
                let mut both = line.split("oklch(").skip(1).map(|part| {
                    let mut parts =
                        part.split(')').next().unwrap().split(' ').map(|part| part.parse().unwrap());
                    [parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()]
                });
                [both.next().unwrap(), both.next().unwrap()]
            })
            .collect();
        let sights = [
            ("everything", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            (
                "no red",
                [
                    [0.152_286, 1.052_583, -0.204_868],
                    [0.114_503, 0.786_281, 0.099_216],
                    [-0.003_882, -0.048_116, 1.051_998],
                ],
            ),
            (
                "no green",
                [
                    [0.367_322, 0.860_646, -0.227_968],
                    [0.280_085, 0.672_501, 0.047_413],
                    [-0.011_82, 0.042_94, 0.968_881],
                ],
            ),
            (
                "no blue",
                [
                    [1.255_528, -0.076_749, -0.178_779],
                    [-0.078_411, 0.930_809, 0.147_602],
                    [0.004_733, 0.691_367, 0.303_9],
                ],
            ),
        ];
        for (theme, place) in [("light", 0), ("dark", 1)] {
            for (sight, seen) in sights {
                for (number, one) in colours.iter().enumerate() {
                    for (other, two) in colours.iter().enumerate().skip(number + 1) {
                        let (one, two) = (oklab(one[place], seen), oklab(two[place], seen));
                        let apart = one.iter().zip(two).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
                        assert!(
                            apart > 0.09,
                            "s{} and s{} in {theme} for who sees {sight}: {apart:.3}",
                            number + 1,
                            other + 1
                        );
                    }
                }
            }
        }
    }
}
