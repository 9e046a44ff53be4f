//! The picture of a recording: the sound, the strength of the tone, and under it the characters that were
//! read.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Heard;
use crate::common::Failure;
use crate::common::plot::Panel;
use crate::morse::FRAME;

const LINES: usize = 3;
const SOUND: RGBColor = RGBColor(200, 205, 210);
const STRENGTH: RGBColor = RGBColor(0, 114, 178);
const SENT: RGBColor = RGBColor(60, 60, 60);
const READ: RGBColor = RGBColor(213, 94, 0);

/// A recording, and what was read in it.
pub struct Reading<'a> {
    pub title: String,
    pub sound: &'a [f32],
    /// Samples per second.
    pub rate: f32,
    /// When the key was down, if that is known.
    pub marks: &'a [[f64; 2]],
    pub heard: Heard,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Panel for Reading<'_> {
    fn draw(&self, area: &Area<'_>) -> Result<(), Failure> {
        let (head, body) = area.split_vertically(80);
        let text = |size: u32, colour: &RGBColor| ("sans-serif", size).into_font().color(colour);
        let bold = ("sans-serif", 28, FontStyle::Bold).into_font().color(&RGBColor(40, 40, 40));
        let seconds = self.sound.len() as f64 / f64::from(self.rate) / LINES as f64;
        let title = format!("{}; {seconds:.1} s per line", self.title);
        head.draw(&Text::new(title, (12, 6), bold))?;
        let mut x = 12;
        for (name, colour) in
            [("sound", &SOUND), ("strength of the tone", &STRENGTH), ("key", &SENT), ("what was read", &READ)]
        {
            if colour == &SENT && self.marks.is_empty() {
                continue;
            }
            head.draw(&Rectangle::new([(x, 52), (x + 16, 64)], colour.filled()))?;
            let style = text(23, &SENT).pos(Pos::new(HPos::Left, VPos::Center));
            head.draw(&Text::new(name, (x + 22, 58), style))?;
            x += 52 + name.len() as i32 * 10;
        }
        for (line, area) in body.split_evenly((LINES, 1)).iter().enumerate() {
            self.line(&area.margin(4, 4, 12, 12), line as f64 * seconds, seconds)?;
        }
        Ok(())
    }
}

impl Reading<'_> {
    /// One line of the picture: `seconds` seconds of sound from `from` on.
    fn line(&self, area: &Area<'_>, from: f64, seconds: f64) -> Result<(), Failure> {
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (width as i32, height as i32);
        let (base, key, read) = (height - 50, height - 40, height - 24);
        let place = |t: f64| ((t - from) / seconds * f64::from(width)) as i32;
        let inside = |t: f64| (from..from + seconds).contains(&t);

        // The loudest sample at each place.
        let loudest = self.sound.iter().fold(f32::MIN_POSITIVE, |most, s| most.max(s.abs()));
        let mut heights = vec![0f32; (width / 2) as usize];
        for (i, sample) in self.sound.iter().enumerate() {
            let at = place(i as f64 / f64::from(self.rate)) / 2;
            if let Ok(at) = usize::try_from(at)
                && let Some(height) = heights.get_mut(at)
            {
                *height = height.max(sample.abs() / loudest);
            }
        }
        let up = |part: f32| base - (part * (base - 4) as f32) as i32;
        let mut outline: Vec<(i32, i32)> =
            heights.iter().enumerate().map(|(i, height)| (2 * i as i32, up(*height))).collect();
        outline.extend([(width, base), (0, base)]);
        area.draw(&Polygon::new(outline, SOUND.filled()))?;
        let frame = f64::from(FRAME);
        let strengths = self.heard.strengths.iter().enumerate().map(|(i, s)| ((i + 1) as f64 * frame, *s));
        let points: Vec<_> = strengths.filter(|(t, _)| inside(*t)).map(|(t, s)| (place(t), up(s))).collect();
        area.draw(&PathElement::new(points, STRENGTH.stroke_width(2)))?;
        for [down, up] in self.marks.iter().filter(|[down, _]| inside(*down)) {
            let end = place(*up).min(width);
            area.draw(&Rectangle::new([(place(*down), key - 3), (end, key + 3)], SENT.filled()))?;
        }
        for (i, character) in &self.heard.characters {
            let t = (*i + 1) as f64 * frame;
            if inside(t) && *character != b' ' {
                let at = place(t);
                let style = ("sans-serif", 25, FontStyle::Bold).into_font().color(&READ);
                let style = style.pos(Pos::new(HPos::Right, VPos::Center));
                area.draw(&PathElement::new([(at, base), (at, read + 8)], READ.stroke_width(1)))?;
                area.draw(&Text::new(char::from(*character).to_string(), (at - 3, read + 6), style))?;
            }
        }
        Ok(())
    }
}
