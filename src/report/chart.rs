//! Charts as SVG: for people who look, with a title and a description for those who listen. The numbers stand in a
//! table beside it; colours come from the style sheet, by class.

use std::fmt::Write;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What stands below it.
    pub label: String,
    /// How high it is.
    pub value: f64,
    /// How far its thin line goes: the longest of what it is the middle of.
    pub most: f64,
}

/// Bars against a line that none should pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The same in a sentence, with the numbers that matter.
    pub description: &'a str,
    /// What stands beside the line.
    pub line_label: &'a str,
    /// Where the line is.
    pub line: f64,
    /// The bars.
    pub bars: &'a [Bar],
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 40.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 18.0;

impl Bars<'_> {
    /// The chart, as an `<svg>` element.
    pub fn svg(&self) -> String {
        let top = self.bars.iter().map(|bar| bar.most.max(bar.value)).fold(self.line, f64::max);
        let scale = nice(top * 1.05);
        let height = HEIGHT - TOP - BOTTOM;
        let y = |value: f64| TOP + height * (1.0 - (value / scale).clamp(0.0, 1.0));
        let mut svg = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"chart-title chart-desc\">\
             <title id=\"chart-title\">{}</title><desc id=\"chart-desc\">{}</desc>",
            escape(self.title),
            escape(self.description)
        );
        for step in 0..=4 {
            let value = scale * f64::from(step) / 4.0;
            let at = y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                plain(value)
            );
        }
        let room = (WIDTH - LEFT) / self.bars.len().max(1) as f64;
        let wide = (room * 0.6).min(48.0);
        for (at, bar) in self.bars.iter().enumerate() {
            let middle = LEFT + room * (at as f64 + 0.5);
            let over = if bar.value > self.line { "bar-over" } else { "bar-in" };
            let _ = write!(
                svg,
                "<rect class=\"{over}\" x=\"{:.1}\" width=\"{wide:.1}\" y=\"{:.1}\" height=\"{:.1}\" rx=\"3\"/>\
                 <line class=\"most\" x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"axis\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                middle - wide / 2.0,
                y(bar.value),
                (y(0.0) - y(bar.value)).max(1.0),
                y(bar.value),
                y(bar.most),
                HEIGHT - 8.0,
                escape(&bar.label)
            );
        }
        let line = y(self.line);
        let _ = write!(
            svg,
            "<line class=\"target\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/>\
             <text class=\"target-label\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text></svg>",
            line - 5.0,
            escape(self.line_label)
        );
        svg
    }
}

/// The next number that an axis ends well at: 4, 8, 20, 40, 80, 200, …
fn nice(top: f64) -> f64 {
    let top = if top.is_finite() { top.max(1.0) } else { 1.0 };
    let ten = 10f64.powf(top.log10().floor());
    [0.4, 0.8, 2.0, 4.0, 8.0, 20.0].into_iter().map(|step| step * ten).find(|end| *end >= top).unwrap_or(top)
}

fn plain(value: f64) -> String {
    if (value - value.round()).abs() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_above_everything() {
        assert_eq!([3.0, 15.75, 21.0, 50.0, 0.0].map(nice), [4.0, 20.0, 40.0, 80.0, 2.0]);
    }

    #[test]
    fn bars_stay_inside_and_words_are_escaped() {
        let bars = [
            Bar { label: "8".into(), value: 6.0, most: 9.0 },
            Bar { label: "<9>".into(), value: 1e9, most: f64::INFINITY },
        ];
        let svg = Bars { title: "A & B", description: "d", line_label: "15 min", line: 15.0, bars: &bars }.svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && svg.contains("A &amp; B"), "{svg}");
        assert!(svg.contains("&lt;9&gt;") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("bar-in") && svg.contains("bar-over") && !svg.contains("style="));
    }
}
