use galen::Result;
use galen::data::formats::arff;

use super::*;

fn parse(text: &str) -> Result<Table> {
    arff::parse(text.as_bytes(), "file.arff")
}

const HEAD: &str = "@relation r\n@attribute age numeric\n@attribute sex {f, m}\n@data\n";

/// Rows after a header of two attributes; the first row is line 5.
fn rows(text: &str) -> Result<Table> {
    parse(&format!("{HEAD}{text}"))
}

#[test]
fn all_types_and_marks_are_read() {
    galen::data::show_values(true);
    let table = parse(
        "% a comment\n@RELATION 'the heart' % here too\r\n\n@Attribute age Integer\n@attribute 'chest pain' {typical, 'not\\'typical', \"none at all\" , ? }\n\
         @attribute\tweight REAL\n@attribute note string\n@attribute seen date \"yyyy-MM-dd\"\n@DATA % now\n\
         61 , typical,70.5,'a, b',2020-01-31\n% between\n?,'not\\'typical',?,?,?\n7,\"none at all\",-1e2,\"50%\",'?' % end\n8,'?',1,%x\n",
    );
    says(table, &["file.arff", "line 14", "\"%x\""]);
    let table = parse(
        "@relation r\n@Attribute age Integer\n@attribute 'chest pain' {typical, 'not\\'typical', \"none at all\" , ? }\n\
         @attribute\tweight REAL\n@attribute note string\n@attribute seen date \"yyyy-MM-dd\"\n@DATA\n\
         61 , typical,70.5,'a, b',2020-01-31\n% between\n?,'not\\'typical',?,?,?\n7,\"none at all\",-1e2,50%,'?' % end\n8,'?',1,a\\b,?\n",
    )
    .expect("a table");
    assert_eq!(table.names().join("|"), "age|chest pain|weight|note|seen");
    assert_eq!(texts(&table, "age"), ["61", "", "7", "8"]);
    assert_eq!(texts(&table, "chest pain"), ["typical", "not'typical", "none at all", "?"]);
    assert_eq!(table.categorical("chest pain").expect("levels").levels().len(), 4);
    assert_eq!(texts(&table, "weight"), ["70.5", "", "-100", "1"]);
    assert_eq!(texts(&table, "note"), ["a, b", "", "50%", "a\\b"]);
    assert_eq!(texts(&table, "seen"), ["2020-01-31", "", "?", ""]);
}

#[test]
fn levels_keep_the_order_of_their_declaration() {
    let table = rows("1,m\n2,m\n").expect("a table");
    assert_eq!(table.categorical("sex").expect("levels").levels(), ["f", "m"]);
    assert_eq!(table.classes("sex").expect("classes"), (vec![0, 0], vec!["m".to_owned()]));
}

#[test]
fn sparse_rows_leave_out_zeros_and_first_levels() {
    galen::data::show_values(true);
    let table = rows("{0 5, 1 m}\n{}\n{ 1 ? }\n{1 m,0 ?}\n3,f\n").expect("a table");
    assert_eq!(texts(&table, "age"), ["5", "0", "0", "", "3"]);
    assert_eq!(texts(&table, "sex"), ["m", "f", "", "m", "f"]);
    says(rows("{2 1}\n"), &["a place below 2 in line 5", "\"2\""]);
    says(rows("{0 1, 0 2}\n"), &["each place once in line 5", "0 twice"]);
    says(rows("{-1 1}\n"), &["a place below 2"]);
    says(rows("{0 1\n"), &["line 5", "the end of the line"]);
    says(rows("{0 1} 3\n"), &["nothing more in line 5", "\"3\""]);
    says(parse("@relation r\n@attribute a string\n@data\n{}\n"), &["a value for attribute \"a\" in line 4"]);
}

#[test]
fn several_labels_become_ones_and_zeros() {
    galen::data::show_values(true);
    let text = "@relation 'yeast: -C 2'\n@attribute x numeric\n@attribute Class1 {0,1}\n@attribute Class2 {1,0}\n@data\n0.5,1,0\n0.25,0,1\n1,1,1\n";
    let table = parse(text).expect("a table");
    let labels = table.multi_label(&["Class1", "Class2"]).expect("labels");
    assert_eq!(labels, ndarray::array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    says(table.multi_label(&["x"]), &["column \"x\"", "0 or 1 in every row", "\"0.5\" in row 0"]);
}

#[test]
fn tabs_stand_between_values_too() {
    galen::data::show_values(true);
    let table = rows("1\tm\n 2 ,\tf\t\n").expect("a table");
    assert_eq!(
        (texts(&table, "age"), texts(&table, "sex")),
        (vec!["1".into(), "2".into()], vec!["m".into(), "f".into()])
    );
    says(rows("1 m\n"), &["a comma between values in line 5", "\"m\""]);
}

#[test]
fn wrong_rows_are_named_by_their_line() {
    galen::data::show_values(true);
    says(rows("1,m\n2\n"), &["file.arff", "expected 2 values, one for each attribute, in line 6, got 1"]);
    says(rows("1,m\n\n% c\n2,f,3,4\n"), &["in line 8, got 4"]);
    says(rows("1,m,\n"), &["a value after the last comma", "line 5"]);
    says(rows("1,\n"), &["a value (or ? where it is missing) in line 5", "the end of the line"]);
    says(rows("1,m,{5}\n"), &["no instance weight in line 5"]);
    says(rows("old,m\n"), &["a number for attribute \"age\" in line 5", "\"old\""]);
    says(rows("inf,m\n"), &["a number for attribute \"age\""]);
    says(rows("1,x\n"), &["one of {f, m} for attribute \"sex\" in line 5", "\"x\""]);
    says(rows("1,M\n"), &["one of {f, m}", "\"M\""]);
    says(rows("1,'m\n"), &["a closing ' in line 5", "never ends"]);
}

#[test]
fn wrong_headers_are_named_by_their_line() {
    says(parse("@relation r\n@attribute a numeric\n"), &["file.arff", "a line @data", "none in 2 lines"]);
    says(parse(""), &["a line @data", "none in 0 lines"]);
    says(parse("@relation r\n@data\n"), &["an @attribute before @data in line 2"]);
    says(parse("@relation r\n\n1,2\n"), &["@relation, @attribute or @data in line 3", "\"1\""]);
    says(parse("@attribute a\n"), &["the attribute's type in line 1", "the end of the line"]);
    says(parse("@attribute a relational\n"), &["a type of attribute \"a\"", "line 1", "\"relational\""]);
    says(parse("@attribute a {x, y\n"), &["line 1"]);
    says(parse("@attribute a {x, x}\n"), &["each value of \"a\" once in line 1", "\"x\" twice"]);
    says(parse("@attribute a numeric [0,1]\n"), &["nothing more in line 1"]);
    says(parse("@attribute a real\n@attribute 'a' real\n"), &["a name that no attribute before has in line 2"]);
    says(arff::parse(b"@relation \xff", "f"), &["UTF-8", "0xff in line 1"]);
    says(arff::read("/nowhere/at all.arff"), &["/nowhere/at all.arff"]);
}

#[test]
fn cut_and_damaged_files_never_panic() {
    let text = format!("\u{feff}{HEAD}1,m\n{{0 5, 1 'm'}}\n?,\"f\" % x\n");
    let text = text.as_bytes();
    for end in 0..text.len() {
        let _ = arff::parse(&text[..end], "cut");
        for byte in [0u8, b'\'', b'"', b'\n', b',', b'{', b'}', b'%', b'@', b'\\', 0xff, b'\t', b' '] {
            let mut damaged = text.to_vec();
            damaged[end] = byte;
            let _ = arff::parse(&damaged, "damaged");
        }
    }
}
