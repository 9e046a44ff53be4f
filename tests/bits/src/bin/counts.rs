//! `counts FORMAT HIDDEN ROWS CALLS`: calls whose instructions an emulator counts. See `.ci/instructions`.

fn main() {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let [format, hidden, rows, calls] = arguments[..] else { panic!("FORMAT HIDDEN ROWS CALLS") };
    let sizes = (hidden as usize, rows as usize);
    let mut room = vec![0.0; bits::counts::ROOM];
    let result = bits::counts::calls(format, sizes, calls, &mut room);
    result.unwrap_or_else(|error| panic!("{error}"));
}
