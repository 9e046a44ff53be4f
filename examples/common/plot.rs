//! Line charts and heat maps in a common style, as SVG. Text stays text, so drawing needs no fonts.
//!
//! The colours are those of Okabe and Ito, which people with any colour vision can tell apart.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Failure;

const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(222, 222, 222);
/// The size of a panel.
const WIDTH: u32 = 880;
const HEIGHT: u32 = 560;
const TEXT: u32 = 23;
/// Mean width of a letter.
const LETTER: f64 = 0.48 * TEXT as f64;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A part of a figure.
pub trait Panel {
    fn draw(&self, area: &Area<'_>) -> Result<(), Failure>;
}

/// Draws the panels as a picture, row by row, with `columns` panels in a row.
pub fn svg(columns: usize, panels: &[&dyn Panel]) -> Result<String, Failure> {
    let mut picture = String::new();
    let rows = panels.len().div_ceil(columns);
    {
        let size = (WIDTH * columns as u32, HEIGHT * rows as u32);
        let root = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (panel, area) in panels.iter().zip(root.split_evenly((rows, columns))) {
            panel.draw(&area.margin(16, 16, 16, 24))?;
        }
        root.present()?;
    }
    Ok(picture)
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

enum Scale {
    Linear,
    Log,
    /// A place for each name.
    Names(Vec<String>),
}

/// An axis of a chart. Values outside of its range are drawn at its end.
struct Axis {
    from: f64,
    to: f64,
    scale: Scale,
}

impl Axis {
    /// An axis that covers all values.
    fn over(values: impl Iterator<Item = f64>, log: bool, margin: f64) -> Self {
        let scale = if log { Scale::Log } else { Scale::Linear };
        let inside = values.filter(|&v| !log || v > 0.0);
        let (from, to) = inside.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        match (from < to, log) {
            (false, _) => Axis { from: 0.5, to: 1.5, scale },
            (true, true) => {
                let factor = (to / from).powf(margin);
                Axis { from: from / factor, to: to * factor, scale }
            }
            (true, false) => {
                let more = (to - from) * margin;
                Axis { from: from - more, to: to + more, scale }
            }
        }
    }

    fn names(names: &[String]) -> Self {
        Axis { from: 0.0, to: names.len() as f64, scale: Scale::Names(names.to_vec()) }
    }

    fn place(&self, v: f64) -> f64 {
        if let Scale::Log = self.scale { v.max(f64::MIN_POSITIVE).log10() } else { v }
    }

    /// Round numbers for labels, about `most` of them.
    fn ticks(&self, most: usize) -> Vec<f64> {
        let (from, to) = (self.place(self.from), self.place(self.to));
        let rough = (to - from) / most.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|&step| step >= rough);
        let multiples = |step: f64| {
            let ends = (from / step - 1e-9).ceil() as i64..=(to / step + 1e-9).floor() as i64;
            ends.map(move |k| k as f64 * step)
        };
        match &self.scale {
            Scale::Names(names) => (0..names.len()).map(|i| i as f64 + 0.5).collect(),
            Scale::Linear => multiples(round.unwrap_or(power)).collect(),
            Scale::Log if to - from > 2.0 => multiples(rough.ceil()).map(|p| 10f64.powf(p)).collect(),
            Scale::Log => {
                let decades = from.floor() as i32..=to.floor() as i32;
                let all = decades.flat_map(|p| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(p)));
                all.filter(|v| (self.from..=self.to).contains(v)).collect()
            }
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let (from, to) = (self.place(self.from), self.place(self.to));
        let part = ((self.place(*value) - from) / (to - from)).clamp(0.0, 1.0);
        first + (part * f64::from(last - first)).round() as i32
    }

    /// There are no light grid lines.
    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks(hint.max_num_points()) }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, &value: &f64) -> String {
        match &self.scale {
            Scale::Names(names) => names.get(value as usize).cloned().unwrap_or_default(),
            _ if value == 0.0 => "0".into(),
            Scale::Log if value >= 1e4 => format!("{value:.0e}"),
            _ if (1e-3..1e5).contains(&value.abs()) => format!("{}", (value * 1e6).round() / 1e6),
            _ => format!("{value:.0e}"),
        }
    }
}

#[derive(Clone, Copy)]
enum Look {
    Line,
    /// A wide and pale line, which stays visible under others that coincide with it.
    Wide,
    Dashes,
    Dots,
}

struct Series {
    name: String,
    look: Look,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// A chart of lines. Each series gets the next colour. A series without a name is not in the legend, and has
/// the colour of the series before it.
pub struct Chart {
    title: String,
    x: String,
    y: String,
    log: bool,
    limits: Option<(f64, f64)>,
    series: Vec<Series>,
}

impl Look {
    fn style(self, colour: RGBColor) -> ShapeStyle {
        match self {
            Look::Wide => colour.mix(0.3).stroke_width(11),
            _ => colour.stroke_width(3),
        }
    }
}

impl Chart {
    /// A chart with a title and labels for its axes.
    pub fn new(title: impl Into<String>, x: impl Into<String>, y: impl Into<String>) -> Self {
        let (title, x, y) = (title.into(), x.into(), y.into());
        Chart { title, x, y, log: false, limits: None, series: Vec::new() }
    }

    /// Makes the y axis logarithmic, and leaves out values that are not positive.
    pub fn log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Sets the ends of the y axis, whatever the values are.
    pub fn limits(mut self, from: f64, to: f64) -> Self {
        self.limits = Some((from, to));
        self
    }

    pub fn line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.add(name, Look::Line, points)
    }

    pub fn wide(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.add(name, Look::Wide, points)
    }

    pub fn dashes(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.add(name, Look::Dashes, points)
    }

    pub fn dots(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.add(name, Look::Dots, points)
    }

    /// Gives the series that was added last the colour that the series `number` of another chart has, counted
    /// from 0, so that a thing has one colour in all panels.
    pub fn coloured(mut self, number: usize) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.colour = COLOURS[number % COLOURS.len()];
        }
        self
    }

    /// Gives the series that was added last a shade of the first colour: lighter up to 1 (white), darker down
    /// to -1 (black).
    pub fn shaded(mut self, part: f64) -> Self {
        let to = if part < 0.0 { 0.0 } else { 255.0 };
        let mix = |c: u8| (f64::from(c) + (to - f64::from(c)) * part.abs()).round() as u8;
        if let Some(series) = self.series.last_mut() {
            let RGBColor(r, g, b) = COLOURS[0];
            series.colour = RGBColor(mix(r), mix(g), mix(b));
        }
        self
    }

    fn add(mut self, name: &str, look: Look, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let fits = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite() && (!self.log || p.1 > 0.0);
        let points = points.into_iter().filter(fits).collect();
        let named = self.series.iter().filter(|s| !s.name.is_empty()).count();
        let colour = if name.is_empty() { named.saturating_sub(1) } else { named };
        let colour = COLOURS[colour % COLOURS.len()];
        self.series.push(Series { name: name.into(), look, colour, points });
        self
    }

    fn legend(&self, area: &Area<'_>) -> Result<(), Failure> {
        let sample = 34;
        let mut x = 0;
        for series in self.series.iter().filter(|s| !s.name.is_empty()) {
            let y = TEXT as i32 / 2;
            let style = series.look.style(series.colour);
            match series.look {
                Look::Line | Look::Wide => area.draw(&PathElement::new([(x, y), (x + sample, y)], style))?,
                Look::Dashes => {
                    for from in [x, x + 13, x + 26] {
                        area.draw(&PathElement::new([(from, y), (from + 8, y)], style))?;
                    }
                }
                Look::Dots => area.draw(&Circle::new((x + sample / 2, y), 4, series.colour.filled()))?,
            }
            let pos = Pos::new(HPos::Left, VPos::Center);
            area.draw(&Text::new(series.name.clone(), (x + sample + 8, y), text(TEXT).pos(pos)))?;
            x += sample + 34 + (series.name.chars().count() as f64 * LETTER) as i32;
        }
        Ok(())
    }
}

/// Draws the title. Returns the areas of the legend and of the rest.
fn titled<'a>(area: &Area<'a>, title: &str) -> Result<(Area<'a>, Area<'a>), Failure> {
    let (head, body) = area.split_vertically(80);
    let bold = ("sans-serif", 28, FontStyle::Bold).into_font().color(&INK);
    head.draw(&Text::new(title.to_owned(), (12, 6), bold))?;
    Ok((head.margin(46, 0, 12, 0), body))
}

type Plane<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// The axes of a chart, with room for the longest label of the y axis.
fn axes<'a, 'b>(body: &'b Area<'a>, x: (&str, Axis), y: (&str, Axis)) -> Result<Plane<'a, 'b>, Failure> {
    const LABELS: usize = 8;
    let longest = y.1.ticks(LABELS).iter().map(|v| y.1.format_ext(v).chars().count()).max().unwrap_or(0);
    let named = matches!(x.1.scale, Scale::Names(_));
    let mut plane = ChartBuilder::on(body)
        .x_label_area_size(62)
        .y_label_area_size(52 + (longest as f64 * LETTER) as u32)
        .margin_right(12)
        .build_cartesian_2d(x.1, y.1)?;
    let mut mesh = plane.configure_mesh();
    if named {
        mesh.disable_mesh();
    }
    mesh.x_labels(LABELS)
        .y_labels(LABELS)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(TEXT))
        .axis_desc_style(text(TEXT))
        .x_desc(x.0)
        .y_desc(y.0)
        .draw()?;
    Ok(plane)
}

impl Panel for Chart {
    fn draw(&self, area: &Area<'_>) -> Result<(), Failure> {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x = Axis::over(points().map(|p| p.0), false, 0.0);
        let mut y = Axis::over(points().map(|p| p.1), self.log, 0.05);
        if let Some((from, to)) = self.limits {
            (y.from, y.to) = (from, to);
        }
        let (legend, body) = titled(area, &self.title)?;
        self.legend(&legend)?;
        let mut plane = axes(&body, (&self.x, x), (&self.y, y))?;
        for series in &self.series {
            let colour = series.colour;
            let style = series.look.style(colour);
            let points = series.points.iter().copied();
            match series.look {
                Look::Line | Look::Wide => plane.draw_series(LineSeries::new(points, style))?,
                Look::Dashes => plane.draw_series(DashedLineSeries::new(points, 8, 5, style))?,
                Look::Dots => plane.draw_series(points.map(|p| Circle::new(p, 3, colour.filled())))?,
            };
        }
        Ok(())
    }
}

/// Shows numbers as colours: a row of cells for each row, the first row on top.
pub struct HeatMap {
    pub title: String,
    /// The labels of the columns and of the rows, and their names.
    pub x: (String, Vec<String>),
    pub y: (String, Vec<String>),
    /// `[rows, columns]`
    pub values: Vec<f32>,
}

/// A colour from white (0) to dark blue (1).
fn shade(part: f64) -> RGBColor {
    let mix = |to: f64| (255.0 + (to - 255.0) * part.clamp(0.0, 1.0)).round() as u8;
    RGBColor(mix(0.0), mix(60.0), mix(110.0))
}

impl Panel for HeatMap {
    fn draw(&self, area: &Area<'_>) -> Result<(), Failure> {
        let (legend, body) = titled(area, &self.title)?;
        let (low, high) = self.values.iter().fold((0f32, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
        for i in 0..20 {
            let at = 60 + i * 8;
            legend.draw(&Rectangle::new([(at, 0), (at + 8, 18)], shade(f64::from(i) / 19.0).filled()))?;
        }
        for (value, x, side) in [(low, 52, HPos::Right), (high, 228, HPos::Left)] {
            let style = text(TEXT).pos(Pos::new(side, VPos::Center));
            legend.draw(&Text::new(format!("{value:.2}"), (x, 9), style))?;
        }
        let columns = self.x.1.len();
        // The y axis goes up, but the rows go down.
        let names: Vec<String> = self.y.1.iter().rev().cloned().collect();
        let rows = names.len();
        let mut plane = axes(&body, (&self.x.0, Axis::names(&self.x.1)), (&self.y.0, Axis::names(&names)))?;
        plane.draw_series(self.values.iter().enumerate().map(|(i, &value)| {
            let (x, y) = ((i % columns) as f64, (rows - 1 - i / columns) as f64);
            let part = f64::from((value - low) / (high - low).max(f32::MIN_POSITIVE));
            Rectangle::new([(x, y), (x + 1.0, y + 1.0)], shade(part).filled())
        }))?;
        Ok(())
    }
}
