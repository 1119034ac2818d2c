use galen::data::Values;
use galen::data::formats::csv::{Csv, Extra};
use galen::{Error, Result};

use super::*;

fn parse(text: &str) -> Result<Table> {
    Csv::new().parse(text.as_bytes(), "file.csv")
}

#[test]
fn numbers_and_texts_are_told_apart() {
    let table = parse("id,age,sex,note\n1,61.5,f,\n2,null,m,NA\n3,NaN,,\n-4e1,+7,f,\n").expect("a table");
    assert_eq!((table.rows(), table.names().join(" ")), (4, "id age sex note".to_owned()));
    assert_eq!(table.numeric("id").expect("numbers"), [1.0, 2.0, 3.0, -40.0]);
    assert_eq!(texts(&table, "age"), ["61.5", "", "", "7"]);
    assert_eq!(texts(&table, "sex"), ["f", "m", "", "f"]);
    assert_eq!(table.categorical("sex").expect("texts").levels(), ["f", "m"]);
    // Nothing in it: numbers, all missing.
    assert_eq!(table.column("note").expect("a column").missing(), 4);
    assert!(matches!(table.column("note"), Ok(Values::Numeric(_))));
}

/// What is not a number and stands among numbers: what others call missing, what lies outside a test's range, slips of the pen.
const SLIPS: [&str; 14] =
    ["inf", "-Infinity", "1e999", "-", "?", ".", "<5", ">100", "6O", "none", "0x10", "1_000", "12,5", "5 mg"];

#[test]
fn a_column_of_numbers_never_becomes_levels() {
    galen::data::show_values(true);
    for slip in SLIPS {
        let text = format!("id,age\n1,61\n2,\"{slip}\"\n");
        for how in [Csv::new(), Csv::new().numbers(["age"])] {
            let (line, shown) = ("a number in line 3, column \"age\"", format!("got \"{slip}\""));
            says(
                how.parse(text.as_bytes(), "file.csv"),
                &["file.csv", line, &shown, "Csv::also_missing", "Csv::texts"],
            );
            let table = how.also_missing([slip]).parse(text.as_bytes(), "file.csv").expect("a table");
            assert_eq!(texts(&table, "age"), ["61", ""], "{slip}");
        }
        let levels = Csv::new().texts(["age"]).parse(text.as_bytes(), "file.csv").expect("a table");
        assert_eq!(texts(&levels, "age"), ["61", slip]);
    }
    // Where most values are texts, so is the column, numbers and infinities included.
    let mostly = parse("note\nhigh\nlow\n5\nhigh\ninf\n").expect("a table");
    assert_eq!(mostly.categorical("note").expect("texts").levels(), ["5", "high", "inf", "low"]);
    // A marker that fills most of a column of numbers is found by the different values.
    let titers = parse("titer\n<5\n<5\n<5\n<5\n10\n20\n");
    says(titers, &["line 2, column \"titer\", where 2 of 3 different values are numbers", "\"<5\", \"<5\" in line 3"]);
    says(parse("a;b\n12,5;1\n"), &["1 values in line 2", "got 2"]);
    let german = Csv::new().delimiter(b';').parse(b"a;b\n12,5;x\n7,25;y\n", "f.csv");
    says(german, &["line 2, column \"a\", where 2 of 2 values are or look like numbers", "Csv::decimal_comma"]);
}

#[test]
fn the_first_values_that_are_no_numbers_are_listed() {
    galen::data::show_values(true);
    let slips = ["<5", "-", "a\u{1b}[2Jb", "x", "y", "z", "z"];
    let mut text = String::from("id,age\n");
    (0..20).for_each(|i| text += &format!("{i},{}\n", slips.get(i).copied().unwrap_or("40")));
    let listed =
        "got \"<5\", \"-\" in line 3, \"a\\u{1b}[2Jb\" in line 4, \"x\" in line 5, \"y\" in line 6 and 2 more (";
    says(parse(&text), &["a number in line 2, column \"age\", where 13 of 20 values are numbers", listed]);
    let long = format!("age\n1\n2\n{}\n", "9x".repeat(500));
    let error = parse(&long).expect_err("no number").to_string();
    assert!(error.contains(&format!("\"{}\"...", "9x".repeat(20))) && error.len() < 400, "{error}");
    // So it is where a table is prepared, classes are given numbers, or a column's name is at fault.
    let level = format!("bell \u{7}{}", "long ".repeat(50));
    let table = Table::new().with_texts("a\u{1b}", &[Some("1"), Some(&level)]).expect("a table");
    let classes = galen::data::Classes::fit(&table, "a\u{1b}", &[0]).expect("classes");
    let encoding = galen::data::prepare::OneHot::fit(&table, "a\u{1b}", &[0], &Default::default()).expect("levels");
    for error in [
        table.numeric("a\u{1b}").map(drop).expect_err("texts"),
        table.clone().to_numeric(&["a\u{1b}"]).map(drop).expect_err("texts"),
        classes.apply(&table).map(drop).expect_err("an unknown class"),
        encoding.apply(&table).map(drop).expect_err("an unseen level"),
        table.column(&level).map(drop).expect_err("no such column"),
        table.with_texts("a\u{1b}", &[Some("1"), None]).map(drop).expect_err("a name twice"),
    ] {
        let error = error.to_string();
        assert!(!error.contains(char::is_control) && error.len() < 300, "{error:?}");
    }
}

#[test]
fn the_markers_of_pandas_are_missing_values() {
    let markers = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    ];
    for marker in markers {
        for cell in [marker.to_owned(), format!("\"{marker}\""), format!(" \"{marker}\" "), format!("\" {marker}\"")] {
            let table = parse(&format!("age,sex\n61,f\n{cell},{cell}\n40,m\n")).expect(&cell);
            assert_eq!(
                (texts(&table, "age").join(" "), texts(&table, "sex").join(" ")),
                ("61  40".into(), "f  m".into())
            );
            assert!(matches!(table.column("age"), Ok(Values::Numeric(_))), "{cell}");
        }
    }
}

#[test]
fn a_header_with_a_name_too_many_or_too_few_is_read_as_the_caller_says() {
    galen::data::show_values(true);
    let named = b"a,b\nr1,1,2\nr2,3,4\n";
    says(
        Csv::new().parse(named, "f.csv"),
        &["2 values in line 2, one for each column", "got 3", "Csv::extra reads it as an index"],
    );
    let index = Csv::new().extra(Extra::Index).parse(named, "f.csv").expect("a table");
    assert_eq!((index.names().join(" "), texts(&index, "index").join(" ")), ("index a b".into(), "r1 r2".into()));
    assert_eq!(index.numeric("b").expect("numbers"), [2.0, 4.0]);
    let less = Csv::new().extra(Extra::DropFirst).parse(named, "f.csv").expect("a table");
    assert_eq!((less.names().join(" "), texts(&less, "a").join(" ")), ("a b".into(), "1 3".into()));
    // The last values are not thrown away.
    says(
        Csv::new().extra(Extra::DropLast).parse(named, "f.csv"),
        &["nothing after the last column in line 2", "\"2\""],
    );
    let ends = Csv::new().extra(Extra::DropLast).parse(b"a,b\n1,2,\n3,4,\n", "f.csv").expect("a table");
    assert_eq!((ends.names().join(" "), texts(&ends, "b").join(" ")), ("a b".into(), "2 4".into()));
    let given =
        Csv::new().header(false).names(["a"]).extra(Extra::DropLast).parse(b"1,\n3,\n", "f.csv").expect("a table");
    assert_eq!(texts(&given, "a"), ["1", "3"]);

    let few = b"a,b,c\n1,2\n3,4\n";
    says(Csv::new().parse(few, "f.csv"), &["3 values in line 2", "got 2", "leaves the first or the last name out"]);
    says(Csv::new().extra(Extra::Index).parse(few, "f.csv"), &["3 values in line 2", "got 2"]);
    let first = Csv::new().extra(Extra::DropFirst).parse(few, "f.csv").expect("a table");
    let last = Csv::new().extra(Extra::DropLast).parse(few, "f.csv").expect("a table");
    assert_eq!((first.names().join(" "), last.names().join(" ")), ("b c".into(), "a b".into()));
    // One ragged row is not a header's fault, and no policy hides it.
    for extra in [Extra::Refuse, Extra::Index, Extra::DropFirst, Extra::DropLast] {
        let how = Csv::new().extra(extra);
        says(how.parse(b"a,b\n1,2\n3,4,5\n", "f.csv"), &["2 values in line 3, one for each column, got 3"]);
        says(how.parse(b"a,b\n1,2,3,4\n", "f.csv"), &["line 2", "got 4"]);
        assert_eq!(how.parse(b"a,b\n1,2\n", "f.csv").expect("a table"), parse("a,b\n1,2\n").expect("a table"));
    }
    says(Csv::new().extra(Extra::Index).parse(b"index,b\n1,2,3\n", "f.csv"), &["\"index\" in columns 1 and 2"]);
}

#[test]
fn separators_of_thousands_part_groups_of_three() {
    galen::data::show_values(true);
    let csv = Csv::new().thousands(b',');
    let table = csv.parse(b"a\n\"1,234\"\n\"-12,345,678.5\"\n7\n\"1,234e2\"\n", "f.csv").expect("a table");
    assert_eq!(table.numeric("a").expect("numbers"), [1234.0, -12_345_678.5, 7.0, 123_400.0]);
    for slip in ["1,2", "1,2345", ",123", "1,234,", "1.5,000", "12,34,567", "1234,567"] {
        says(csv.parse(format!("a\n1\n\"{slip}\"\n").as_bytes(), "f.csv"), &["line 3", &format!("\"{slip}\"")]);
    }
    let german = Csv::new().delimiter(b';').decimal_comma().thousands(b'.');
    assert_eq!(german.parse(b"a\n1.234,5\n7\n", "f").expect("a table").numeric("a").expect("numbers"), [1234.5, 7.0]);
    says(german.parse(b"a\n1\n2.5\n", "f"), &["line 3", "\"2.5\""]);
    for bad in [b'.', b'1', b'-', b'e', b'\n', 0xa7] {
        says(Csv::new().thousands(bad).parse(b"a\n1\n", "f"), &["csv", "thousands"]);
    }
    says(Csv::new().decimal_comma().thousands(b',').parse(b"a\n1\n", "f"), &["thousands"]);
}

#[test]
fn quotes_hold_commas_line_ends_and_quotes() {
    let table = parse("a,b\n\"x, y\",1\n\"two\nlines\",2\n\"so \"\"said\"\"\",3\n").expect("a table");
    assert_eq!(texts(&table, "a"), ["x, y", "two\nlines", "so \"said\""]);
    let off = Csv::new().quote(None).parse(b"a\n5\"\n6\"\n", "tubes.csv").expect("a table");
    assert_eq!(texts(&off, "a"), ["5\"", "6\""]);
}

#[test]
fn byte_order_marks_and_line_ends_of_all_systems_are_read() {
    let plain = parse("a,b\n1,x\n2,y\n").expect("a table");
    for same in ["\u{feff}a,b\n1,x\n2,y\n", "a,b\r\n1,x\r\n2,y\r\n", "a,b\r1,x\r2,y", "a , b\n 1 ,x\n2, y\n\n  \n"] {
        assert_eq!(parse(same).expect("a table"), plain, "{same:?}");
    }
    let latin1 = b"name\nM\xfcller\n";
    says(Csv::new().parse(latin1, "f.csv"), &["f.csv", "UTF-8", "0xfc in line 2"]);
    assert_eq!(texts(&Csv::new().latin1().parse(latin1, "f.csv").expect("a table"), "name"), ["Müller"]);
    says(Csv::new().parse(b"\xff\xfea\0\n\0", "f.csv"), &["UTF-16"]);
}

#[test]
fn other_delimiters_comments_and_decimal_commas_are_read() {
    galen::data::show_values(true);
    let german = Csv::new().delimiter(b';').decimal_comma().comment(b'#');
    let table = german.parse("# Labor\nwert;art\n12,5;a\n-0,25;b\n".as_bytes(), "f.csv").expect("a table");
    assert_eq!(table.numeric("wert").expect("numbers"), [12.5, -0.25]);
    says(german.clone().numbers(["wert"]).parse(b"wert\n1.234,5\n", "f.csv"), &["line 2", "1.234,5"]);
    let tabs = Csv::new().delimiter(b'\t').parse(b"a\tb c\n1\t\n", "f.tsv").expect("a table");
    assert_eq!((texts(&tabs, "a"), texts(&tabs, "b c")), (vec!["1".to_owned()], vec![String::new()]));
    let spaces = Csv::new().spaces().parse(b"  a  b\t c \n1   2 \"x  y\"\n3 4 z", "f.txt").expect("a table");
    assert_eq!(texts(&spaces, "c"), ["x  y", "z"]);
}

#[test]
fn names_come_from_the_header_the_caller_or_the_count() {
    let text = b"5,1\n6,2\n";
    let counted = Csv::new().header(false).parse(text, "f.csv").expect("a table");
    assert_eq!((counted.names(), counted.rows()), (&["column_1".to_owned(), "column_2".to_owned()][..], 2));
    let given =
        Csv::new().header(false).names(["age", "class"]).texts(["class"]).parse(text, "f.csv").expect("a table");
    assert_eq!((given.names().join(","), given.rows()), ("age,class".to_owned(), 2));
    let replaced = Csv::new().names(["x", "y"]).parse(text, "f.csv").expect("a table");
    assert_eq!((replaced.names().join(","), replaced.rows()), ("x,y".to_owned(), 1));
    // Row numbers as R writes them.
    assert_eq!(parse("\"\",\"a\"\n\"1\",5\n").expect("a table").names().join(","), "column_1,a");
    says(Csv::new().header(false).names(["age"]).parse(text, "f.csv"), &["f.csv", "expected 1 columns, got 2"]);
}

#[test]
fn missing_values_are_what_the_caller_says() {
    let text = b"a,b\n-999,?\n5,\n";
    let table = Csv::new().missing(["-999"]).parse(text, "f.csv").expect("a table");
    assert_eq!(
        (texts(&table, "a"), texts(&table, "b")),
        (vec![String::new(), "5".into()], vec!["?".into(), String::new()])
    );
    assert_eq!(table.column("b").expect("a column").missing(), 0);
}

#[test]
fn a_ragged_row_is_named_by_its_line() {
    for (text, line, count) in [
        ("a,b,c\n1,2,3\n4,5\n", 3, 2),
        ("a,b,c\r\n1,2,3\r\n4,5,6,7\r\n", 3, 4),
        ("a,b,c\n\n\n1,2,3\n\n4\n", 6, 1),
        ("a,b,c\n\"two\nlines\",2,3\n4,5\n", 4, 2),
        ("\u{feff}a,b,c\n4,5\n", 2, 2),
    ] {
        let counts = format!("expected 3 values in line {line}, one for each column, got {count}");
        says(parse(text), &["file.csv", &counts]);
    }
    let commented = Csv::new().comment(b'%').parse(b"% x\na,b % \"\n% y, z\n% u\n1 % 2\n", "f.csv");
    says(commented, &["expected 2 values in line 5", "got 1"]);
    assert!(matches!(parse("a,b\n1\n"), Err(Error::Format { .. })));
}

#[test]
fn a_quote_that_is_never_closed_does_not_swallow_rows() {
    says(parse("a,b\n1,x\n2,\"y\n3,z\n4,z\n"), &["pairs of quotes", "opened in line 3 and never closed"]);
    says(parse("a,b\n\"1,x\n2,y\n"), &["opened in line 2"]);
    says(parse("a,\"b\n1,2\n"), &["opened in line 1"]);
    let commented = Csv::new().comment(b'#').parse(b"a,b\n1,x\n# see 3,\"y\n", "f.csv");
    assert_eq!(commented.expect("a table").rows(), 1);
    assert_eq!(parse("a\n\"x\"\"y\"").expect("a table").rows(), 1);
    assert_eq!(parse("a,b\n1,x\"y").expect("a table").rows(), 1);
}

#[test]
fn names_that_do_not_fit_are_refused() {
    says(parse("age,sex,age\n1,2,3\n"), &["every column's name once", "\"age\" in columns 1 and 3"]);
    says(
        Csv::new().numbers(["weight"]).parse(b"a,b\n1,2\n", "f.csv"),
        &["f.csv", "a column \"weight\"", "\"a\", \"b\""],
    );
    says(parse(""), &["file.csv", "a header"]);
    says(parse("\n \n\r\n"), &["a header"]);
    says(Csv::new().header(false).parse(b"", "f.csv"), &["at least one row"]);
    assert_eq!(parse("a,b\n").expect("a table without rows").rows(), 0);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    says(Csv::new().delimiter(b'"').parse(b"a\n", "f"), &["csv", "quote", "'\"'"]);
    says(Csv::new().comment(b',').parse(b"a\n", "f"), &["comment", "','"]);
    says(Csv::new().delimiter(b'\n').parse(b"a\n", "f"), &["delimiter"]);
    says(Csv::new().delimiter(0xa7).parse(b"a\n", "f"), &["delimiter"]);
}

#[test]
fn files_readers_and_gzip_give_the_same_table() {
    let plain = parse("a,b\n1,x\n").expect("a table");
    assert_eq!(Csv::new().from_reader(&b"a,b\n1,x\n"[..], "reader").expect("a table"), plain);
    // The same text, gzipped.
    let packed: [u8; 28] =
        [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 212, 73, 226, 50, 212, 169, 224, 2, 0, 244, 160, 1, 0, 8, 0, 0, 0];
    assert_eq!(Csv::new().parse(&packed, "packed").expect("a table"), plain);
    for end in 2..packed.len() {
        says(Csv::new().parse(&packed[..end], "f.csv.gz"), &["f.csv.gz", "gzip"]);
    }
    assert_eq!(Csv::new().most_bytes(8).parse(&packed, "packed").expect("as much as it may"), plain);
    says(Csv::new().most_bytes(7).parse(&packed, "f.csv.gz"), &["f.csv.gz", "at most 7 bytes", "Csv::most_bytes"]);
    let path = std::env::temp_dir().join(format!("galen-csv-{}.csv", std::process::id()));
    std::fs::write(&path, "a,b\n1,x\n").expect("a file");
    assert_eq!(Csv::new().read(&path).expect("a table"), plain);
    std::fs::remove_file(&path).expect("the file");
    assert!(matches!(Csv::new().read(&path), Err(Error::Io { .. })));
}

#[test]
fn cut_and_damaged_files_never_panic() {
    let text = b"\xef\xbb\xbfa,\"b\"\"c\",d\r\n1,\"x\ny\",?\r\n#z\n2,\"\",3\r\n";
    for how in
        [Csv::new(), Csv::new().header(false), Csv::new().spaces().comment(b'#'), Csv::new().latin1().quote(None)]
    {
        for end in 0..text.len() {
            let _ = how.parse(&text[..end], "cut");
            for byte in [0u8, b'"', b'\n', b',', 0xff, b'\r'] {
                let mut damaged = text.to_vec();
                damaged[end] = byte;
                let _ = how.parse(&damaged, "damaged");
            }
        }
    }
}

#[test]
fn hundred_thousand_rows_are_read_in_a_moment() {
    let mut text = String::from("id,value,group\n");
    for i in 0..100_000 {
        text.push_str(&format!("patient {},{}.5,{}\n", i / 10, i, ["a", "b", "c"][i % 3]));
    }
    let start = std::time::Instant::now();
    let table = parse(&text).expect("a table");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(table.rows(), 100_000);
    assert_eq!(table.numeric("value").expect("numbers")[99_999], 99_999.5);
    assert_eq!(table.groups("id").expect("groups").last(), Some(&9_999));
}
