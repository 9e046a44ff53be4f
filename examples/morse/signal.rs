//! Makes recordings of Morse code: a simulated operator keys a text, and the tone arrives with fading and
//! noise.

use std::f64::consts::TAU;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::train::normal;

use crate::morse::{RATE, TONE};

/// The bandwidth in hertz in which the noise is measured for a signal-to-noise ratio: that of the filter of a
/// usual receiver.
pub const BANDWIDTH: f64 = 500.0;
/// Slowest and fastest keying, in words per minute. A word is 50 dots long.
pub const SPEEDS: [f64; 2] = [12.0, 30.0];
/// The length of each mark and of each gap is off by at most this fraction.
pub const JITTER: f64 = 0.2;
/// Largest depth of the fading: the strongest signal over the weakest, in decibels.
pub const FADING: f64 = 10.0;

/// The marks of a character. A space, and what cannot be sent, has none.
pub fn code(character: u8) -> &'static str {
    const LETTERS: [&str; 26] = [
        ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--", "-.",
        "---", ".--.", "--.-", ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..",
    ];
    const DIGITS: [&str; 10] =
        ["-----", ".----", "..---", "...--", "....-", ".....", "-....", "--...", "---..", "----."];
    match character {
        b'A'..=b'Z' => LETTERS[usize::from(character - b'A')],
        b'0'..=b'9' => DIGITS[usize::from(character - b'0')],
        b'.' => ".-.-.-",
        b',' => "--..--",
        b'?' => "..--..",
        b'/' => "-..-.",
        b'=' => "-...-",
        _ => "",
    }
}

/// Draws recordings. Each has another tone, fading and loudness.
pub struct Operator(Xoshiro256PlusPlus);

impl Operator {
    pub fn new(seed: u64) -> Self {
        Operator(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub fn uniform(&mut self, [from, to]: [f64; 2]) -> f64 {
        from + (to - from) * (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.0.next_u64() % count as u64) as usize
    }

    /// Keys a text. Returns when the key goes down and up again for each mark, and the length of the
    /// recording, in seconds. It begins with silence. A space follows the last character, too.
    pub fn key(&mut self, text: &[u8], words_per_minute: f64) -> (Vec<[f64; 2]>, f64) {
        let dot = 1.2 / words_per_minute;
        let (mut time, mut marks) = (self.uniform([0.1, 1.0]), Vec::new());
        for (i, &character) in text.iter().enumerate() {
            let code = code(character).as_bytes();
            for (j, &mark) in code.iter().enumerate() {
                let last = j + 1 == code.len();
                let space = matches!(text.get(i + 1), None | Some(b' '));
                let gap = if !last {
                    1.0
                } else if space {
                    7.0
                } else {
                    3.0
                };
                let mut dots = |count| count * dot * self.uniform([1.0 - JITTER, 1.0 + JITTER]);
                let up = time + dots(if mark == b'.' { 1.0 } else { 3.0 });
                marks.push([time, up]);
                time = up + dots(gap);
            }
        }
        (marks, time + 0.3)
    }

    /// The sound of these marks: a tone that fades, in white noise. `ratio` is the mean power of the signal
    /// while the key is down over the power of the noise in [`BANDWIDTH`], in decibels.
    pub fn sound(&mut self, marks: &[[f64; 2]], seconds: f64, ratio: f64) -> Vec<f32> {
        let rate = f64::from(RATE);
        let tone = f64::from(TONE) + self.uniform([-8.0, 8.0]);
        let (depth, speed) = (self.uniform([0.0, FADING]), self.uniform([0.05, 0.3]));
        let (phase, start) = (self.uniform([0.0, TAU]), self.uniform([0.0, TAU]));
        let fading = |t: f64| 10f64.powf(-depth / 40.0 * (1.0 - (TAU * speed * t + start).cos()));
        let (turn_sin, turn_cos) = (TAU * tone / rate).sin_cos();
        let (mut sin, mut cos) = phase.sin_cos();
        let mut sound = vec![0.0; (seconds * rate) as usize];
        let (mut next, mut level) = (0, 0.0);
        let (mut power, mut count, mut strength) = (0.0, 0u32, 1.0);
        for (i, sound) in sound.iter_mut().enumerate() {
            let t = i as f64 / rate;
            while marks.get(next).is_some_and(|mark| mark[1] <= t) {
                next += 1;
            }
            let down = marks.get(next).is_some_and(|mark| mark[0] <= t);
            // The edges of marks take 2 ms, so that they do not click.
            level += (f64::from(u8::from(down)) - level) / (0.002 * rate);
            // The fading is slow.
            if i % 32 == 0 {
                strength = fading(t);
            }
            *sound = (strength * level * sin) as f32;
            (sin, cos) = (sin * turn_cos + cos * turn_sin, cos * turn_cos - sin * turn_sin);
            if down {
                power += 0.5 * strength * strength;
                count += 1;
            }
        }
        let signal = if count > 0 { power / f64::from(count) } else { 0.5 };
        // White noise has the same power in each hertz up to half the rate.
        let noise = signal / 10f64.powf(ratio / 10.0) * (rate / 2.0 / BANDWIDTH);
        let mut noises = vec![0.0; sound.len()];
        normal(&mut noises, noise.sqrt() as f32, &mut self.0);
        let loudness = self.uniform([0.05, 0.25]) as f32;
        sound.iter().zip(&noises).map(|(sound, noise)| loudness * (sound + noise)).collect()
    }
}
