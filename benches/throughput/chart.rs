//! Bar charts as SVG, readable on a light and on a dark page.

use std::fmt::Write;

/// Bars of one scale below a title.
pub struct Panel<'a> {
    pub title: &'a str,
    pub bars: Vec<Bar<'a>>,
}

/// A name and a bar of two parts.
pub struct Bar<'a> {
    pub name: &'a str,
    pub parts: [f64; 2],
}

/// Sizes in pixels. The bars begin at `LEFT`; the longest of a panel has the length `LENGTH`.
const WIDTH: u32 = 720;
const LEFT: u32 = 170;
const LENGTH: f64 = 470.0;
const LINE: u32 = 26;
const BAR: u32 = 18;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .name { text-anchor: end; }
  .page { fill: #ffffff; }
  .first { fill: #1f6feb; }
  .second { fill: #d4772c; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .first { fill: #4493f8; }
    .second { fill: #e0945a; }
  }
";

/// Draws the panels below each other, with a legend of the parts beside the title.
pub fn draw(title: &str, parts: [&str; 2], panels: &[Panel<'_>]) -> String {
    let mut body = String::new();
    let mut y = LINE;
    text(&mut body, "title", 16, y, title);
    for (class, part, x) in [("first", parts[0], 470), ("second", parts[1], 570)] {
        rectangle(&mut body, class, x, y - 12, 14.0, 14);
        text(&mut body, "legend", x + 20, y, part);
    }
    for panel in panels {
        y += LINE + LINE / 2;
        text(&mut body, "title", 16, y, panel.title);
        let sums = panel.bars.iter().map(|bar| bar.parts.iter().sum());
        let scale = LENGTH / sums.fold(1.0, f64::max);
        for bar in &panel.bars {
            y += LINE;
            draw_bar(&mut body, bar, scale, y);
        }
    }
    let height = y + LINE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}</svg>\n"
    )
}

/// Draws a bar whose text stands on the line `y`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn draw_bar(body: &mut String, bar: &Bar<'_>, scale: f64, y: u32) {
    text(body, "name", LEFT - 10, y, bar.name);
    let mut x = LEFT;
    for (class, part) in ["first", "second"].into_iter().zip(bar.parts) {
        let width = (part * scale).round();
        rectangle(body, class, x, y - 14, width, BAR);
        x += width as u32;
    }
    let sum: f64 = bar.parts.iter().sum();
    text(body, "figure", x + 8, y, &format!("{sum:.0}"));
}

fn rectangle(body: &mut String, class: &str, x: u32, y: u32, width: f64, height: u32) {
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
    );
}

fn text(body: &mut String, class: &str, x: u32, y: u32, text: &str) {
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
    );
}
