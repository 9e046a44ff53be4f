//! A simulated accelerometer in a simulated hand.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::gestures::NAMES;

/// Generates gestures one after the other. Each has a random strength, speed and tilt.
pub struct Hand(Xoshiro256PlusPlus);

impl Hand {
    pub fn new(seed: u64) -> Self {
        Hand(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn uniform(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `len` samples `[len, 3]` at 50 per second, and the gesture of each sample.
    pub fn record(&mut self, len: usize) -> (Vec<f32>, Vec<u32>) {
        let (mut samples, mut labels) = (Vec::new(), Vec::new());
        let mut gesture = 0;
        while labels.len() < len {
            self.gesture(gesture, &mut samples);
            labels.resize(samples.len() / 3, gesture as u32);
            // Every second gesture is a rest.
            gesture = if gesture == 0 { self.uniform(1.0, NAMES.len() as f64) as usize } else { 0 };
        }
        samples.truncate(3 * len);
        labels.truncate(len);
        (samples, labels)
    }

    fn gesture(&mut self, gesture: usize, samples: &mut Vec<f32>) {
        let steps = self.uniform(30.0, 60.0) as usize;
        let (strength, phase) = (self.uniform(0.6, 1.4), self.uniform(0.0, 6.3));
        let tilt = [self.uniform(-0.2, 0.2), self.uniform(-0.2, 0.2)];
        // In radians per sample.
        let speed = match gesture {
            1 => self.uniform(0.9, 1.4),
            2 => self.uniform(0.25, 0.45),
            #[allow(clippy::approx_constant, reason = "the models were trained on it")]
            _ => self.uniform(0.9, 1.1) * 6.28 / steps as f64,
        };
        for t in 0..steps {
            let angle = phase + speed * t as f64;
            let [x, y, z] = match NAMES[gesture] {
                "shake" => [1.5 * angle.sin(), 0.2 * angle.cos(), 0.0],
                "circle" => [0.8 * angle.cos(), 0.8 * angle.sin(), 0.1 * angle.sin()],
                "lift" => [0.0, 0.0, 0.9 * (speed * t as f64).sin()],
                "tap" => [0.0, 0.1, if t % 12 < 2 { 1.6 } else { -0.1 }],
                _ => [0.0; 3],
            };
            for (motion, gravity) in [x, y, z].into_iter().zip([tilt[0], tilt[1], 1.0]) {
                let noise = self.uniform(-0.08, 0.08);
                samples.push((strength * motion + gravity + noise) as f32);
            }
        }
    }
}
