//! Prints figures beside their targets as they come, and remembers what was missed.

use serde_json::json;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// It is here to explain the others.
    None,
}

impl Target {
    fn is_missed(self, figure: f64) -> bool {
        match self {
            // Not a number is a miss.
            Self::AtMost(most) => !matches!(figure.partial_cmp(&most), Some(order) if order.is_le()),
            Self::AtLeast(least) => !matches!(figure.partial_cmp(&least), Some(order) if order.is_ge()),
            Self::None => false,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", short(most)),
            Self::AtLeast(least) => format!("≥ {}", short(least)),
            Self::None => String::new(),
        }
    }
}

/// Prints figures, as a table or as JSON.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    scene: &'static str,
    missed: Vec<String>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, scene: "", missed: Vec::new() }
    }

    /// What follows belongs to this scene.
    pub(crate) fn scene(&mut self, scene: &'static str) {
        self.scene = scene;
        if !self.json {
            println!("\n== {scene}");
        }
    }

    /// Something else worth knowing.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            println!("{}", json!({ "scene": self.scene, "note": text }));
        } else {
            println!("  ({text})");
        }
    }

    /// A figure that should be so, or that explains others.
    pub(crate) fn figure(&mut self, what: &str, unit: &str, value: f64, target: Target) {
        let missed = target.is_missed(value);
        let verdict = match target {
            Target::None => "",
            Target::AtMost(_) | Target::AtLeast(_) if missed => "MISSED",
            Target::AtMost(_) | Target::AtLeast(_) => "ok",
        };
        if missed {
            self.missed.push(format!("{}: {what} {} {unit}", self.scene, short(value)));
        }
        if self.json {
            let figure = json!({ "scene": self.scene, "what": what, "unit": unit, "value": value,
                "target": target.text(), "verdict": verdict });
            println!("{figure}");
        } else {
            let value = format!("{} {unit}", short(value));
            println!("  {what:52} {value:>14}  {:>10}  {verdict}", target.text());
        }
    }

    /// How many there were of what there should be none of.
    pub(crate) fn none(&mut self, what: &str, count: u64) {
        self.count(what, count, Target::AtMost(0.0));
    }

    /// How many there were.
    pub(crate) fn count(&mut self, what: &str, count: u64, target: Target) {
        self.figure(what, "", count as f64, target);
    }

    /// A scene that broke off, which is a failure.
    pub(crate) fn broke(&mut self, why: &str) {
        self.note(&format!("broke off: {why}"));
        self.missed.push(format!("{}: broke off", self.scene));
    }

    /// Sums up; whether nothing was missed.
    pub(crate) fn finish(&self) -> bool {
        if !self.json {
            println!();
            self.missed.iter().for_each(|missed| println!("MISSED {missed}"));
            println!("{} missed", self.missed.len());
        }
        self.missed.is_empty()
    }
}

/// With as many digits as mean something.
fn short(figure: f64) -> String {
    match figure.abs() {
        _ if figure.fract() == 0.0 => format!("{figure:.0}"),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn what_is_no_number_meets_no_target() {
        assert!(Target::AtMost(0.0).is_missed(f64::NAN) && Target::AtLeast(0.0).is_missed(f64::NAN));
        assert!(!Target::AtMost(2.0).is_missed(2.0) && !Target::AtLeast(2.0).is_missed(2.0));
        assert!(Target::AtMost(2.0).is_missed(2.1) && Target::AtLeast(2.0).is_missed(1.9));
    }
}
