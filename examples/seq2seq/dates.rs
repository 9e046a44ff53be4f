//! Dates in everyday forms, and in ISO 8601.

use rand_xoshiro::rand_core::Rng;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Characters of dates in everyday forms. Id 0 stands for all other characters.
const SOURCE: &str = "?abcdefghijklmnopqrstuvwxyz0123456789 ,./-'";
/// Characters of ISO dates. Ids 0 and 1 mark the start and the end.
const TARGET: &str = "<>0123456789-";
pub const START: u32 = 0;
pub const END: u32 = 1;
pub const SOURCES: usize = SOURCE.len();
pub const TARGETS: usize = TARGET.len();
/// Longer dates are cut to this length.
pub const LONGEST: usize = 40;
/// Characters of an ISO date, including the end.
pub const LENGTH: usize = 11;

/// The ids of a text, in lower case, at most `LONGEST` of them.
pub fn encode(text: &str) -> Vec<u32> {
    let id = |c: char| SOURCE.find(c.to_ascii_lowercase()).unwrap_or(0) as u32;
    text.trim().chars().take(LONGEST).map(id).collect()
}

/// The text up to the end mark, if there is one.
pub fn decode(ids: &[u32]) -> String {
    let ids = ids.iter().take_while(|&&id| id != END);
    ids.map(|&id| TARGET.as_bytes().get(id as usize).map_or('?', |b| char::from(*b))).collect()
}

pub fn encode_target(iso: &str) -> Vec<u32> {
    let ids = iso.chars().map(|c| TARGET.find(c).unwrap_or(0) as u32);
    ids.chain([END]).collect()
}

/// A day in the years 1950 to 2049, in which two digits identify the year.
#[derive(Clone, Copy, Debug)]
pub struct Date {
    year: u32,
    month: usize,
    day: u32,
    /// 0 is Monday.
    weekday: usize,
}

fn below(n: usize, rng: &mut impl Rng) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}

impl Date {
    /// About every fifth day is kept out of the training.
    pub fn is_unseen(self) -> bool {
        (self.year * 372 + self.month as u32 * 31 + self.day) % 5 == 2
    }

    fn any(rng: &mut impl Rng) -> Date {
        let (year, month) = (1950 + below(100, rng) as u32, below(12, rng));
        // 1900 and 2100 are not leap years, but they are outside of the range.
        let leap = year.is_multiple_of(4);
        let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        let day = 1 + below(days, rng) as u32;
        // Sakamoto's method: Sunday is 0.
        let y = year - u32::from(month < 2);
        let weekday = (y + y / 4 - y / 100 + y / 400 + [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month] + day) % 7;
        Date { year, month, day, weekday: (weekday as usize + 6) % 7 }
    }

    /// A random day from the training, or one kept out of it.
    pub fn random(unseen: bool, rng: &mut impl Rng) -> Date {
        loop {
            let date = Date::any(rng);
            if date.is_unseen() == unseen {
                return date;
            }
        }
    }

    pub fn iso(self) -> String {
        format!("{}-{:02}-{:02}", self.year, self.month + 1, self.day)
    }

    /// The date in one of many forms. With slashes the month comes first, with dots the day.
    pub fn written(self, rng: &mut impl Rng) -> String {
        let Date { year, month, day, weekday } = self;
        let (number, short_year) = (month + 1, year % 100);
        let name = match below(3, rng) {
            0 => &MONTHS[month][..3],
            _ => MONTHS[month],
        };
        let dot = if name.len() == 3 && month != 4 && below(3, rng) == 0 { "." } else { "" };
        let name = format!("{name}{dot}");
        let th = match day {
            1 | 21 | 31 => "st",
            2 | 22 => "nd",
            3 | 23 => "rd",
            _ => "th",
        };
        let plain = match below(19, rng) {
            0 => format!("{day} {name} {year}"),
            1 => format!("{day}{th} {name} {year}"),
            2 => format!("{day}{th} of {name} {year}"),
            3 => format!("the {day}{th} of {name}, {year}"),
            4 => format!("{name} {day}, {year}"),
            5 => format!("{name} {day} {year}"),
            6 => format!("{name} {day}{th}, {year}"),
            7 => format!("{name} the {day}{th}, {year}"),
            8 => format!("{day}. {name} {year}"),
            9 => format!("{day}.{number}.{year}"),
            10 => format!("{day:02}.{number:02}.{year}"),
            11 => format!("{day}.{number}.{short_year:02}"),
            12 => format!("{number}/{day}/{year}"),
            13 => format!("{number:02}/{day:02}/{year}"),
            14 => format!("{number}/{day}/{short_year:02}"),
            15 => format!("{day}-{name}-{year}"),
            16 => format!("{year} {name} {day}"),
            17 => format!("{year}-{number}-{day}"),
            _ => format!("{day} {name} '{short_year:02}"),
        };
        let day_of_week = DAYS[weekday];
        match below(8, rng) {
            0 => format!("{day_of_week}, {plain}"),
            1 => format!("{} {plain}", &day_of_week[..3]),
            _ => plain,
        }
    }
}

/// A batch for training or translating: padded sequences, time-major.
pub struct Batch {
    pub size: usize,
    /// Steps of the longest sequence.
    pub steps: usize,
    pub lengths: Vec<usize>,
    /// `[S, B]`
    pub source: Vec<u32>,
    /// The decoder's inputs and its expected outputs: `[T, B]`.
    pub given: Vec<u32>,
    pub targets: Vec<u32>,
}

impl Batch {
    /// A batch of texts, with their ISO dates if known.
    pub fn new(texts: &[(String, String)]) -> Batch {
        let sources: Vec<_> = texts.iter().map(|(text, _)| encode(text)).collect();
        let lengths: Vec<_> = sources.iter().map(Vec::len).collect();
        let (size, steps) = (texts.len(), lengths.iter().copied().max().unwrap_or(0));
        let mut source = vec![0; steps * size];
        let (mut given, mut targets) = (vec![START; LENGTH * size], vec![END; LENGTH * size]);
        for (b, ids) in sources.iter().enumerate() {
            ids.iter().enumerate().for_each(|(t, id)| source[t * size + b] = *id);
            for (t, id) in encode_target(&texts[b].1).into_iter().enumerate() {
                targets[t * size + b] = id;
                if t + 1 < LENGTH {
                    given[(t + 1) * size + b] = id;
                }
            }
        }
        Batch { size, steps, lengths, source, given, targets }
    }

    /// Random dates in random forms.
    pub fn texts(size: usize, unseen: bool, rng: &mut impl Rng) -> Vec<(String, String)> {
        let one = |_| {
            let date = Date::random(unseen, rng);
            (date.written(rng), date.iso())
        };
        (0..size).map(one).collect()
    }
}
