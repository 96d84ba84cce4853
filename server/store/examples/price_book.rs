//! Makes the price book from LiteLLM's list: `cargo xtask price-book` runs it.

use std::{env, error::Error, fs};

use store::price_lists::{book, litellm};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to, version, date] = arguments.as_slice() else {
        return Err("which list, where to, its version, and the day of that version".into());
    };
    let list = litellm::read(&fs::read_to_string(from)?)?;
    let source = "LiteLLM, model_prices_and_context_window.json";
    let licence = "MIT, Copyright (c) 2023 Berri AI; the text is in LICENSE beside this file";
    fs::write(to, book::write(source, version, date.parse()?, licence, &list.listed))?;
    println!("{} entries read, {} unreadable", list.listed.len(), list.unreadable.len());
    Ok(())
}
