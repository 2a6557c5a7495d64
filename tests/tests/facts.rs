//! The table of what must be shown (`tests/facts.md`) names tests that exist.

use sso_agent_tests::parts;
use std::fs;

#[test]
fn every_row_names_tests_that_exist() {
    let table = fs::read_to_string(parts::source().join("tests/facts.md")).unwrap();
    let parts = [("B", 10), ("C", 9), ("D", 12)];
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| parts.iter().any(|(part, _)| line.starts_with(&format!("| {part}"))))
        .collect();
    let wanted = parts.iter().flat_map(|(part, last)| (1..=*last).map(move |n| format!("| {part}{n} |")));
    for row in wanted {
        let found = rows.iter().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(found.contains("::"), "{row} names no test");
    }
    for (file, name) in rows.iter().flat_map(|row| row.split('`')).filter_map(|word| word.split_once("::")) {
        let text =
            fs::read_to_string(parts::source().join(file)).unwrap_or_else(|_| panic!("no file {file}"));
        assert!(text.contains(&format!("fn {name}(")), "no test {name} in {file}");
    }
}
