//! Prints figures as they come.

use serde_json::json;

use crate::spread::Spread;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// It is here to explain the others.
    None,
}

impl Target {
    fn verdict(self, figure: f64) -> &'static str {
        match self {
            Self::AtMost(most) if figure <= most => "ok",
            Self::AtLeast(least) if figure >= least => "ok",
            Self::AtMost(_) | Self::AtLeast(_) => "MISSED",
            Self::None => "",
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::None => String::new(),
        }
    }
}

/// Prints figures, as a table or as JSON.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    row: &'static str,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, row: "" }
    }

    /// What follows belongs to this row.
    pub(crate) fn row(&mut self, row: &'static str) {
        self.row = row;
        if !self.json {
            println!("\n== {row}");
        }
    }

    /// Something else worth knowing.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            println!("{}", json!({ "row": self.row, "note": text }));
        } else {
            println!("  ({text})");
        }
    }

    /// A figure by itself.
    pub(crate) fn figure(&self, what: &str, unit: &str, value: Spread, target: Target) {
        self.print(what, unit, value, None, target, target.verdict(value.median));
    }

    /// Ours beside the floor, pair by pair; the target is of their ratio.
    pub(crate) fn pair(
        &self,
        what: &str,
        unit: &str,
        ours: &[f64],
        floor: (&str, &[f64]),
        target: Target,
    ) -> anyhow::Result<()> {
        let nothing = || anyhow::anyhow!("{what}: nothing was measured");
        let value = Spread::of(ours.iter().copied()).ok_or_else(nothing)?;
        let beside = Spread::of(floor.1.iter().copied()).ok_or_else(nothing)?;
        let ratio = Spread::ratios(ours, floor.1).ok_or_else(nothing)?;
        self.print(what, unit, value, Some((floor.0, beside, ratio)), target, target.verdict(ratio.median));
        Ok(())
    }

    fn print(
        &self,
        what: &str,
        unit: &str,
        value: Spread,
        floor: Option<(&str, Spread, Spread)>,
        target: Target,
        verdict: &str,
    ) {
        if self.json {
            let figure = json!({
                "row": self.row, "what": what, "unit": unit, "value": spread(value),
                "floor": floor.map(|(name, value, _)| json!({ "name": name, "value": spread(value) })),
                "ratio": floor.map(|(_, _, ratio)| spread(ratio)),
                "target": target.text(), "verdict": verdict,
            });
            println!("{figure}");
            return;
        }
        let (floor, ratio) = match floor {
            Some((name, value, ratio)) => {
                let ratio = format!("{:.2} x ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max);
                (format!("{name} {}", short(value.median)), ratio)
            }
            None => (String::new(), format!("({}..{})", short(value.min), short(value.max))),
        };
        let value = format!("{} {unit}", short(value.median));
        println!("  {what:44} {value:>14}  {floor:24} {ratio:22} {:>9} {verdict}", target.text());
    }
}

fn spread(spread: Spread) -> serde_json::Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

/// With as many digits as mean something.
fn short(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
