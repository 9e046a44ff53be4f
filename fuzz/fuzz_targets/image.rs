//! Images for flash. The target corrects the checksum, which would otherwise stop the fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recurrent::image::{self, Extras, Image};
use recurrent::io::Format;
use recurrent_fuzz::{check, sign};

fn open(bytes: &[u8]) {
    let _ = (image::model::<1>(bytes), image::model::<2>(bytes), image::model::<5>(bytes));
    if let Ok(image) = Image::from_bytes(bytes) {
        let layers: Vec<_> = image.layers().collect();
        let mut weights = vec![0.0; image.weights_len()];
        image.copy_weights(&mut weights).unwrap();
        if let Ok(in_place) = image.weights() {
            assert!(in_place.iter().zip(&weights).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        let mut state = vec![0.0; image.initial_state_len()];
        image.copy_initial_state(&mut state).unwrap();
        let extras = Extras {
            initial_state: if image.has_initial_state() { &state } else { &[] },
            ending: image.ending(),
            classes: image.classes(),
            mask: image.mask(),
        };
        let mut again = vec![0; image::len_with(&layers, &extras)];
        image::write_with(&layers, &weights, &extras, &mut again).unwrap();
        // Version 1 can be read, but is not written.
        assert!(bytes[8] == 1 || again == bytes, "an image that was read is written otherwise");
    }
    check(bytes, Format::Image, None);
}

fuzz_target!(|bytes: &[u8]| {
    open(bytes);
    if bytes.len() >= 32 {
        let mut signed = bytes.to_vec();
        sign(&mut signed);
        open(&signed);
    }
});
