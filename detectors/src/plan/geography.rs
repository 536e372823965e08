//! How far apart two countries are at least: the circle around the largest pieces of land of each (those of at least a
//! quarter of the largest), from the outlines of Natural Earth (public domain, 1:50 million), with twelve kilometres for
//! what those leave out. Far islands and exclaves are not in the circles, so a distance may be too large for them and is
//! too small for most others.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// The mean radius of the earth, kilometres.
const EARTH_KM: f64 = 6_371.0;

/// A circle on the earth.
struct Circle {
    /// Its centre as a direction from the middle of the earth.
    centre: [f64; 3],
    radius_km: f64,
}

/// Kilometres that lie between two countries (ISO 3166-1 alpha-2) at least, nought where their circles meet; `None` for
/// a code that is not known. Straight through the earth and so less than any way over it; only square roots and sums,
/// so that every machine gives the same.
pub(super) fn least_km(one: &str, other: &str) -> Option<i64> {
    static CIRCLES: LazyLock<HashMap<&str, Circle>> = LazyLock::new(circles);
    if one == other {
        return Some(0);
    }
    let (one, other) = (CIRCLES.get(one)?, CIRCLES.get(other)?);
    let squares = one.centre.iter().zip(&other.centre).map(|(a, b)| (a - b) * (a - b));
    let chord = squares.sum::<f64>().sqrt() * EARTH_KM;
    #[expect(clippy::cast_possible_truncation, reason = "within the earth's diameter")]
    let apart = (chord - one.radius_km - other.radius_km).max(0.0).floor() as i64;
    Some(apart)
}

fn circles() -> HashMap<&'static str, Circle> {
    let circle = |(code, latitude, longitude, radius): &(&'static str, i16, i16, i16)| {
        let (north, round) = (tenths(*latitude), tenths(*longitude));
        let centre = [north.1 * round.1, north.1 * round.0, north.0];
        (*code, Circle { centre, radius_km: f64::from(*radius) })
    };
    COUNTRIES.iter().map(circle).collect()
}

/// Sine and cosine of tenths of a degree, by their series: the ones of the system differ between machines.
fn tenths(angle: i16) -> (f64, f64) {
    let radians = f64::from(angle) * std::f64::consts::PI / 1_800.0;
    let series = |first: f64, from: u32| {
        let mut term = first;
        let mut sum = first;
        for step in (from..from + 40).step_by(2) {
            term *= -radians * radians / f64::from(step * (step + 1));
            sum += term;
        }
        sum
    };
    (series(radians, 2), series(1.0, 1))
}

/// Code, latitude and longitude of the centre in tenths of a degree, radius in kilometres.
#[rustfmt::skip]
const COUNTRIES: &[(&str, i16, i16, i16)] = &[
    ("AD", 425, 16, 27), ("AE", 247, 540, 271), ("AF", 337, 676, 781), ("AG", 174, -618, 53), ("AI", 182, -631, 23),
    ("AL", 412, 200, 180), ("AM", 400, 450, 191), ("AO", -119, 177, 893), ("AQ", -749, -625, 749),
    ("AR", -372, -659, 1726), ("AS", -143, -1707, 26), ("AT", 477, 133, 302), ("AU", -124, 1236, 14),
    ("AW", 125, -700, 26), ("AX", 602, 199, 31), ("AZ", 403, 475, 252), ("BA", 440, 174, 195), ("BB", 132, -596, 28),
    ("BD", 237, 904, 392), ("BE", 504, 43, 158), ("BF", 114, -16, 452), ("BG", 429, 254, 284), ("BH", 260, 506, 37),
    ("BI", -34, 299, 144), ("BJ", 93, 22, 362), ("BL", 179, -628, 17), ("BM", 323, -648, 23), ("BN", 45, 1147, 83),
    ("BO", -163, -645, 823), ("BQ", 122, -683, 30), ("BR", -130, -550, 2328), ("BS", 239, -760, 447),
    ("BT", 271, 904, 178), ("BW", -226, 239, 579), ("BY", 532, 277, 348), ("BZ", 172, -888, 165),
    ("CA", 632, -930, 2500), ("CC", -122, 968, 20), ("CD", -44, 232, 1244), ("CF", 56, 209, 732),
    ("CG", -7, 152, 612), ("CH", 465, 82, 189), ("CI", 74, -56, 414), ("CK", -212, -1598, 18),
    ("CL", -357, -702, 2037), ("CM", 71, 134, 683), ("CN", 422, 1033, 2541), ("CO", 41, -710, 944),
    ("CR", 96, -843, 242), ("CU", 211, -795, 578), ("CV", 162, -242, 172), ("CW", 122, -690, 41),
    ("CX", -105, 1057, 20), ("CY", 350, 332, 92), ("CZ", 500, 155, 258), ("DE", 511, 105, 454),
    ("DJ", 118, 425, 132), ("DK", 561, 105, 190), ("DM", 154, -614, 36), ("DO", 188, -702, 207),
    ("DZ", 285, 24, 1113), ("EC", -19, -782, 392), ("EE", 587, 259, 164), ("EG", 266, 309, 805),
    ("EH", 243, -130, 582), ("ER", 149, 401, 420), ("ES", 407, -32, 578), ("ET", 80, 405, 838),
    ("FI", 650, 250, 593), ("FJ", -165, -1800, 21), ("FK", -518, -594, 125), ("FM", 83, 1482, 1137),
    ("FO", 621, -70, 35), ("FR", 466, 19, 553), ("GA", -8, 120, 376), ("GB", 543, -37, 500), ("GD", 121, -617, 28),
    ("GE", 423, 434, 313), ("GF", 39, -531, 330), ("GG", 495, -26, 18), ("GH", 81, -16, 387), ("GI", 361, -53, 16),
    ("GL", 718, -415, 1347), ("GM", 134, -153, 175), ("GN", 97, -113, 440), ("GP", 162, -615, 60),
    ("GQ", 16, 104, 135), ("GR", 393, 239, 353), ("GS", -544, -369, 96), ("GT", 159, -904, 261),
    ("GU", 134, 1448, 35), ("GW", 122, -152, 179), ("GY", 50, -587, 433), ("HK", 224, 1141, 35),
    ("HM", -530, 735, 34), ("HN", 147, -863, 348), ("HR", 449, 164, 249), ("HT", 189, -730, 173),
    ("HU", 475, 194, 275), ("ID", -19, 1180, 2677), ("IE", 534, -86, 244), ("IL", 315, 354, 237),
    ("IM", 542, -46, 35), ("IN", 220, 826, 1652), ("IO", -73, 724, 24), ("IQ", 329, 443, 530),
    ("IR", 328, 537, 1150), ("IS", 654, -190, 267), ("IT", 423, 122, 596), ("JE", 492, -21, 22),
    ("JM", 181, -773, 127), ("JO", 314, 368, 300), ("JP", 394, 1376, 859), ("KE", 5, 376, 621),
    ("KG", 410, 746, 494), ("KH", 129, 1052, 331), ("KI", 19, -1574, 37), ("KM", -119, 439, 98),
    ("KN", 173, -627, 34), ("KP", 404, 1276, 367), ("KR", 365, 1274, 266), ("KW", 292, 476, 118),
    ("KY", 193, -813, 29), ("KZ", 506, 669, 1486), ("LA", 185, 1045, 546), ("LB", 339, 357, 118),
    ("LC", 139, -609, 34), ("LI", 472, 95, 25), ("LK", 79, 804, 230), ("LR", 63, -91, 289), ("LS", -296, 282, 132),
    ("LT", 554, 238, 200), ("LU", 498, 62, 54), ("LV", 564, 246, 235), ("LY", 267, 186, 1004),
    ("MA", 283, -99, 1062), ("MC", 437, 74, 15), ("MD", 470, 280, 188), ("ME", 427, 192, 107), ("MF", 181, -631, 19),
    ("MG", -188, 473, 792), ("MH", 71, 1702, 184), ("MK", 415, 217, 120), ("ML", 169, -43, 948),
    ("MM", 193, 981, 1042), ("MN", 489, 1042, 1210), ("MO", 222, 1135, 16), ("MP", 165, 1454, 275),
    ("MQ", 146, -610, 45), ("MR", 205, -109, 807), ("MS", 167, -622, 20), ("MT", 360, 144, 33),
    ("MU", -202, 575, 44), ("MV", 37, 735, 69), ("MW", -133, 341, 460), ("MX", 261, -1016, 1675),
    ("MY", 59, 1097, 1074), ("MZ", -187, 365, 1023), ("NA", -215, 183, 847), ("NC", -212, 1655, 206),
    ("NE", 181, 78, 935), ("NF", -291, 1679, 18), ("NG", 94, 86, 741), ("NI", 131, -850, 303), ("NL", 522, 56, 176),
    ("NO", 647, 160, 902), ("NP", 280, 842, 431), ("NR", -5, 1669, 16), ("NU", -191, -1699, 23),
    ("NZ", -407, 1712, 725), ("OM", 206, 555, 514), ("PA", 87, -801, 339), ("PE", -93, -731, 1068),
    ("PF", -138, -1441, 744), ("PG", -66, 1458, 704), ("PH", 121, 1231, 776), ("PK", 309, 686, 944),
    ("PL", 517, 190, 417), ("PM", 469, -564, 29), ("PN", -244, -1283, 18), ("PR", 183, -664, 100),
    ("PS", 319, 351, 80), ("PT", 395, -80, 304), ("PW", 75, 1346, 33), ("PY", -236, -588, 543),
    ("QA", 254, 511, 102), ("RE", -211, 555, 45), ("RO", 456, 250, 383), ("RS", 442, 207, 257),
    ("RU", 677, 900, 3973), ("RW", -19, 298, 139), ("SA", 250, 453, 1148), ("SB", -87, 1594, 413),
    ("SC", -47, 555, 26), ("SD", 155, 300, 1035), ("SE", 622, 161, 796), ("SG", 13, 1038, 32),
    ("SH", -120, -101, 666), ("SI", 462, 149, 141), ("SJ", 780, 170, 300), ("SK", 488, 197, 224),
    ("SL", 85, -118, 190), ("SM", 439, 125, 19), ("SN", 139, -143, 371), ("SO", 51, 463, 937), ("SR", 42, -557, 273),
    ("SS", 75, 298, 653), ("ST", 2, 66, 34), ("SV", 137, -889, 142), ("SX", 181, -631, 19), ("SY", 350, 389, 401),
    ("SZ", -265, 316, 104), ("TC", 218, -720, 49), ("TD", 155, 167, 905), ("TF", -492, 695, 87), ("TG", 86, 7, 301),
    ("TH", 130, 1005, 838), ("TJ", 385, 713, 367), ("TK", -92, -1718, 100), ("TL", -89, 1262, 149),
    ("TM", 398, 597, 662), ("TN", 338, 96, 408), ("TO", -199, -1746, 175), ("TR", 387, 356, 836),
    ("TT", 105, -614, 81), ("TV", -85, 1792, 30), ("TW", 236, 1212, 203), ("TZ", -58, 354, 772),
    ("UA", 490, 311, 672), ("UG", 14, 318, 409), ("US", 421, -961, 2372), ("UY", -324, -559, 310),
    ("UZ", 428, 647, 749), ("VA", 419, 124, 13), ("VC", 133, -612, 25), ("VE", 74, -667, 774), ("VG", 186, -645, 41),
    ("VI", 181, -648, 54), ("VN", 160, 1051, 834), ("VU", -156, 1672, 135), ("WF", -137, -1772, 137),
    ("WS", -138, -1721, 90), ("YE", 157, 478, 586), ("YT", -128, 452, 30), ("ZA", -285, 252, 925),
    ("ZM", -132, 278, 725), ("ZW", -188, 293, 460),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_touch_and_continents_do_not() {
        for (one, other) in [("CH", "FR"), ("DE", "PL"), ("US", "CA"), ("SG", "MY"), ("CH", "CH")] {
            assert_eq!(least_km(one, other), Some(0), "{one} {other}");
        }
        for (one, other, between) in [
            ("CH", "SG", 8_000..10_500),
            ("GB", "US", 3_000..6_000),
            ("NL", "CH", 100..600),
            ("JP", "BR", 8_000..12_000),
        ] {
            let km = least_km(one, other).unwrap();
            assert!(between.contains(&km), "{one} {other}: {km}");
            assert_eq!(least_km(other, one), Some(km));
        }
        assert_eq!(least_km("CH", "XX"), None);
    }

    #[test]
    fn the_series_are_sine_and_cosine() {
        for angle in [-1_800, -900, -333, 0, 1, 450, 1_234, 1_800] {
            let exact = (f64::from(angle) / 10.0).to_radians().sin_cos();
            let ours = tenths(angle);
            assert!((ours.0 - exact.0).abs() < 1e-9 && (ours.1 - exact.1).abs() < 1e-9, "{angle}");
        }
    }
}
