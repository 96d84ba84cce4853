//! Providers' exports, read; and files that are not.

use domain::{
    invoices::{Billed, Mapping, Shape, read, told, upstream},
    money::Money,
};

fn day(text: &str) -> chrono::NaiveDate {
    text.parse().expect("a day")
}

#[test]
fn exports_of_providers_are_read_as_they_come() {
    let plain = Mapping::default();
    let costs = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n\
        1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.8958740000000000,usd,\"gpt-4o-2024-08-06, input\",\n\
        1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,1e-05,usd,\"gpt-4o-2024-08-06, output\",\n\
        1759968000,1760054400,2025-10-09T00:00:00+00:00,2025-10-10T00:00:00+00:00,,,,\n";
    let bill = read(costs, &plain).expect("OpenAI's costs");
    assert_eq!((bill.shape, bill.has_money, bill.has_tokens), (Shape::OpenAi, true, false));
    let line = &bill.lines[&(day("2025-10-05"), "gpt-4o-2024-08-06".to_owned())];
    assert_eq!((bill.lines.len(), line.cost), (1, Money(895_884_000)));

    let usage = "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\n\
        1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,,3,gpt-5-mini,1000,200,400\n";
    let bill = read(usage, &plain).expect("OpenAI's usage");
    let line = bill.lines[&(day("2025-10-05"), "gpt-5-mini".to_owned())];
    assert_eq!(line, Billed { cost: Money(0), input: 1000, output: 200 }, "cached tokens are input tokens");

    let usage = "usage_date_utc,model_version,api_key,workspace,usage_type,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n\
        2025-10-05,claude-sonnet-4-5-20250929,k,w,standard,10,20,30,40,50\n2025-10-05,claude-sonnet-4-5-20250929,k,w,batch,1,0,0,0,5\n";
    let bill = read(usage, &plain).expect("Anthropic's usage");
    assert_eq!(bill.shape, Shape::Anthropic);
    let line = bill.lines[&(day("2025-10-05"), "claude-sonnet-4-5-20250929".to_owned())];
    assert_eq!((line.input, line.output), (101, 55));

    let cost = "usage_date_utc,model,workspace,token_type,cost_usd\n2025-10-05,claude-x,w,input,1.25\n2025-10-05,claude-x,w,output,-0.25\n";
    let bill = read(cost, &plain).expect("Anthropic's cost");
    assert_eq!(bill.lines[&(day("2025-10-05"), "claude-x".to_owned())].cost, Money(1_000_000_000));

    let mapping = Mapping { day: "Tag".into(), model: "Modell".into(), cost: "Betrag".into(), ..plain };
    let bill = read("Tag,Modell,Betrag\n2025-10-05 23:59:59,m,\"$1,200.5\"\n", &mapping).expect("a table");
    assert_eq!(bill.shape, Shape::Generic);
    assert_eq!(bill.lines[&(day("2025-10-05"), "m".to_owned())].cost, Money(1_200_500_000_000));
}

#[test]
fn tokens_that_are_not_told_apart_are_not_dropped() {
    let plain = Mapping::default();
    let one = (day("2026-10-05"), "m".to_owned());
    let bill = |text: &str, mapping: &Mapping| read(text, mapping).expect("a bill");
    let summed = bill("date,model,cost,tokens\n2026-10-05,m,1,1500\n", &plain);
    assert_eq!((summed.has_tokens, summed.tokens_in_one), (true, true));
    assert_eq!(summed.lines[&one], Billed { cost: Money(1_000_000_000), input: 1500, output: 0 });
    // Of a sum beside its parts the parts say more; beside one of them the sum does.
    let apart = bill("date,model,input_tokens,output_tokens,total_tokens\n2026-10-05,m,5,7,12\n", &plain);
    assert_eq!((apart.tokens_in_one, apart.lines[&one].input, apart.lines[&one].output), (false, 5, 7));
    let half = bill("date,model,output_tokens,total_tokens\n2026-10-05,m,7,12\n", &plain);
    assert_eq!((half.tokens_in_one, half.lines[&one].input, half.lines[&one].output), (true, 12, 0));
    let named = Mapping { tokens: "Tokens gesamt".into(), ..plain };
    let named = bill("date,model,Tokens gesamt\n2026-10-05,m,12\n", &named);
    assert_eq!((named.tokens_in_one, named.lines[&one].input), (true, 12));
}

#[test]
fn what_is_wrong_is_named_by_line_and_column() {
    let plain = Mapping::default();
    for (text, expected) in [
        ("", "Line 1: the file is empty."),
        ("a,b\n1,2", "Line 1: no column for the day"),
        ("date,model\n2026-01-01,m", "Line 1: no column for money or tokens"),
        ("date,model,cost\nyesterday,m,1", "Line 2, column date: “yesterday” is no day."),
        (
            "date,model,cost\n2026-01-01,m,1\n2026-01-01,m,\"1,2x\"",
            "Line 3, column cost: “1,2x” is no amount",
        ),
        ("date,model,cost\n2026-01-01,,1", "Line 2, column model: it is empty."),
        ("date,model,cost,currency\n2026-01-01,m,1,EUR", "Line 2, column currency: “EUR” is not US dollars."),
        ("date,model,input_tokens\n2026-01-01,m,-4", "Line 2, column input_tokens: “-4” is no number"),
        ("date,model,cost\n2026-01-01,m,1,2", "Line 2: it has 4 cells"),
        ("date,model,cost\n\"2026-01-01,m,1", "Line 2: a quotation mark"),
        ("date,model,cost\n2026-01-01,,", "Line 1: there is no line"),
        // What is there of a file that was cut off.
        (
            "date,model,cost\n2026-10-06,gpt-5,1\n2026-10-07,gp",
            "Line 3: it has 2 cells, and there are 3 columns: the file may be cut off here.",
        ),
        (
            "date,model,cost\n2026-10-06,gpt-5,1\n2026-10-07,gpt-5,",
            "Line 3, column cost: it is empty, but the line names a model.",
        ),
        (
            "date,model,cost,input_tokens\n2026-10-06,m,,7",
            "Line 2, column cost: it is empty, but the line has tokens.",
        ),
        // Two that may be meant.
        ("date,model,amount,cost\n2026-10-06,m,1,2", "Line 1: both “cost” and “amount” may be the money."),
        (
            "date,model,cost,cost\n2026-10-06,m,1,2",
            "Line 1, column cost: there are several columns of this name.",
        ),
        (
            "date,model,input_tokens,prompt_tokens\n2026-10-06,m,1,1",
            "Line 1: both “input_tokens” and “prompt_tokens” may be input tokens.",
        ),
        // What does not fit, alone or with the lines before.
        (
            "date,model,cost\n2026-10-06,m,9000000000\n2026-10-06,m,9000000000",
            "Line 2, column cost: with this line the file comes to more than $100,000,000.00",
        ),
        (
            "date,model,cost\n2026-10-06,m,90000000\n2026-10-07,m,-90000000",
            "Line 3, column cost: with this line",
        ),
        (
            "date,model,input_tokens\n2026-10-06,m,9000000000000000000\n2026-10-06,m,9000000000000000000",
            "Line 2, column input_tokens: with this line",
        ),
        ("date,model,cost\n2026-01-01,m,99999999999999999999", "Line 2, column cost:"),
        ("date,model,cost\n2026-01-01,m,1e2147483647", "Line 2, column cost:"),
        ("date,model,cost\n2026-01-01,m,\"12,50\"", "Line 2, column cost: “12,50” is no amount"),
        ("date,model,cost\n2026-01-01,m,\"1,2345\"", "Line 2, column cost:"),
        ("date,model,cost\n2026-01-01,m,\",250\"", "Line 2, column cost:"),
        ("date,model,cost\n2026-01-01,m,NaN", "Line 2, column cost:"),
        ("date;model;cost\n2026-01-01;m;12,50", "Line 2, column cost: “12,50” is no amount"),
        (
            "date;model;cost\n2026-10-28;gpt-5;12,500",
            "Line 2, column cost: “12,500” may be 12.500 or 12500. Write it without the comma.",
        ),
        ("date,model,cost\n2026-10-28,gpt-5,\"-$1,200\"", "“-$1,200” may be 1.200 or 1200."),
        (
            "date,model,input_tokens\n2026-10-28,gpt-5,\"1,000\"",
            "Line 2, column input_tokens: “1,000” may be 1.000 or 1000. Write it without the comma.",
        ),
        ("date,model,input_tokens\n2026-10-28,gpt-5,\"10,00\"", "“10,00” is no number of tokens."),
        ("date,model,input_tokens\n2026-10-28,gpt-5,1.5", "“1.5” is no number of tokens."),
        ("\0\u{1}\u{fffd}PNG", "Line 1: no column for the day"),
    ] {
        let mistakes = read(text, &plain).expect_err(text);
        let sentence = told(&mistakes);
        assert!(sentence.starts_with("Nothing was stored. "), "{sentence}");
        assert!(sentence.contains(expected), "{text:?}: {sentence}");
    }
    // Commas that can only part thousands do.
    let bill = read("date;model;cost;input_tokens\n2026-10-06;m;1,234.50;1,234,567", &plain).expect("parted");
    let line = bill.lines[&(day("2026-10-06"), "m".to_owned())];
    assert_eq!((line.cost, line.input), (Money(1_234_500_000_000), 1_234_567));
    // As a spreadsheet writes it where commas are for decimals.
    let bill = read("date;model;cost\n2026-10-06;m;1.50", &plain).expect("it can be read");
    assert_eq!(bill.lines[&(day("2026-10-06"), "m".to_owned())].cost, Money(1_500_000_000));
    let meant = Mapping { cost: "amount".into(), ..plain.clone() };
    let bill = read("date,model,amount,cost,,\n2026-10-06,m,1,2\n", &meant).expect("it was said which");
    assert_eq!(bill.lines[&(day("2026-10-06"), "m".to_owned())].cost, Money(1_000_000_000));
    let named = Mapping { cost: "price".into(), ..plain.clone() };
    let sentence = told(&read("date,model,cost\n2026-01-01,m,1", &named).expect_err("no such column"));
    assert!(
        sentence.contains("Line 1, column price: there is no such column. The file has: date, model, cost.")
    );
    let many: String = std::iter::once("date,model,cost\n".to_owned())
        .chain((0..30).map(|_| "x,m,1\n".to_owned()))
        .collect();
    assert!(told(&read(&many, &plain).expect_err("thirty")).ends_with("And 20 more."));
}

#[test]
fn a_billed_model_is_the_catalogues_where_only_a_date_differs() {
    let ours = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5-20250929", "a-2024-01-01", "a-2025-01-01"];
    for (billed, expected) in [
        ("gpt-4o", Some("gpt-4o")),
        ("gpt-4o-2024-08-06", Some("gpt-4o")),
        ("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
        ("claude-sonnet-4-5", Some("claude-sonnet-4-5-20250929")),
        ("gpt-4o-audio", None),
        ("a", None),
    ] {
        assert_eq!(upstream(billed, &ours), expected, "{billed}");
    }
}

#[test]
fn money_that_is_not_read_is_told_of() {
    for (head, left_out) in [
        ("date,model,input_tokens,cost_eur", vec!["cost_eur"]),
        ("date,model,input_tokens,Amount (EUR),total_tokens,seat", vec!["Amount (EUR)"]),
        ("date,model,input_tokens,currency,requests", vec![]),
    ] {
        // All tokens of the line are said, where they have a column.
        let more = head.split(',').skip(3).map(|name| if name == "total_tokens" { ",7" } else { "," });
        let row = format!("2026-10-06,m,7{}", more.collect::<String>());
        let bill = read(&format!("{head}\n{row}"), &Mapping::default()).expect(head);
        assert_eq!(bill.left_out, left_out, "{head}");
        assert_eq!(bill.remark().is_some(), !left_out.is_empty(), "{head}");
    }
    let bill = read("date,model,cost,cost_eur\n2026-10-06,m,7,6", &Mapping::default()).expect("money");
    assert_eq!(bill.remark(), None, "money was read");
}

#[test]
fn a_column_of_ids_is_no_column_of_models() {
    let file = |models: usize| {
        let rows: String = (0..models).map(|model| format!("2026-10-06,m{model},1\n")).collect();
        read(&format!("date,model,cost\n{rows}"), &Mapping::default())
    };
    assert_eq!(file(2_000).expect("models").lines.len(), 2_000);
    let sentence = told(&file(200_000).expect_err("ids"));
    assert!(
        sentence.contains("Line 2002, column model: with this line the file names more than 2,000 models."),
        "{sentence}"
    );
}
