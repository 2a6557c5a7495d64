//! The tables of what must be shown (`tests/facts.md`, `tests/seed.md`, `tests/faults.md`) name tests that exist.

#![cfg(unix)]

use sso_agent_tests::parts;
use std::fs;

/// So many rows for each letter.
const ROWS: [(&str, u32); 4] = [("A", 41), ("B", 10), ("C", 9), ("D", 12)];

#[test]
fn every_row_names_tests_that_exist() {
    let table = read("tests/facts.md");
    let wanted = ROWS.iter().flat_map(|(part, last)| (1..=*last).map(move |n| format!("| {part}{n} |")));
    for row in wanted {
        let found = table.lines().find(|line| line.starts_with(&row));
        names_tests(found.unwrap_or_else(|| panic!("no row {row}")));
    }
}

#[test]
fn every_line_of_the_document_that_we_came_from_is_shown_by_tests() {
    let table = read("tests/seed.md");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **"));
    let rows: Vec<&str> = rows.skip(1).collect();
    assert!(rows.len() >= 25, "{} rows", rows.len());
    rows.into_iter().for_each(names_tests);
}

#[test]
fn every_fault_and_every_threat_is_shown_by_a_test_or_a_scene() {
    let table = read("tests/faults.md");
    let threats = (1..=32).map(|n| format!("| T{n} |"));
    for row in (1..=56).map(|n| format!("| F{n} |")).chain(threats) {
        let found = table.lines().find(|line| line.starts_with(&row));
        names_tests(found.unwrap_or_else(|| panic!("no row {row}")));
    }
}

fn names_tests(row: &str) {
    let mut count = 0;
    for (file, name) in row.split('`').filter_map(|word| word.split_once("::")) {
        let text = read(file);
        let found = text.contains(&format!("fn {name}(")) || text.contains(&format!("def {name}("));
        assert!(found, "no test {name} in {file}");
        count += 1;
    }
    assert!(count > 0, "no test in {row}");
}

fn read(file: &str) -> String {
    let text = fs::read_to_string(parts::source().join(file));
    assert!(text.is_ok(), "no file {file}");
    text.unwrap_or_default()
}
