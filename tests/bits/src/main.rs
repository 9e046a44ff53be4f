//! Prints the checksums of every instruction set of this CPU.

fn main() {
    let mut out = String::new();
    bits::report(&mut out, &mut vec![0.0; bits::ROOM]).expect("all sizes are right");
    print!("{out}");
}
