//! Tables for people.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets::NOTHING};

/// Stands where there is nothing to say.
pub(super) const NONE: &str = "-";

/// Lines of columns under bold names.
pub(super) fn lines<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> String {
    let mut table = Table::new();
    // Columns that shrink to the terminal would cut hosts in the middle; colours are taken out again
    // where it is no terminal.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(header.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
