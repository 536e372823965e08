//! Where people speak from: the networks of the company and everybody else's.
//!
//! Addresses are of the ranges for benchmarks (RFC 2544) and for documentation (RFC 3849), autonomous systems private ones
//! (RFC 6996), so that nobody real is meant. What real networks do with places is kept: an office has one, a company VPN has
//! the one of its gateway, a security provider (SASE) has whichever of its own is nearest today, a phone's is where its
//! carrier hands it to the Internet, and a privacy relay's is roughly true.
//!
//! Where the habits come from:
//! * the gateway's country in place of the person's: MicrosoftDocs/CloudAppSecurityDocs#515, #661;
//! * addresses that cross borders under a security provider, and again under a phone: the same #661 (over 200 a week);
//! * carriers that hand roaming phones to the Internet at home, or in a third country: mandiant/GeoLogonalyzer#4,
//!   `HomeITAdmin/nextcloud_geoblocker#102`, FusionAuth/fusionauth-issues#3014;
//! * shop and hotel networks that leave at their chain's headquarters: `nextcloud/suspicious_login#878`;
//! * privacy relays in browsers: panther-labs/panther-analysis#780, #1098, #1268.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::event::{Column, Event};

/// The address that a person is seen under, with what a geolocation service says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Egress {
    ip: String,
    country: &'static str,
    asn: i64,
}

impl Egress {
    fn of(network: u64, host: u64, country: &'static str, asn: i64) -> Egress {
        let network = network % 512;
        Egress { ip: format!("198.{}.{}.{}", 18 + network / 256, network % 256, 1 + host % 250), country, asn }
    }

    /// The address.
    pub(crate) fn ip(&self) -> &str {
        &self.ip
    }

    /// Fills in who was seen from where.
    pub(crate) fn say(&self, event: Event) -> Event {
        event.say(Column::Ip, &self.ip).say(Column::Country, self.country).say(Column::Asn, self.asn)
    }
}

/// The networks that a system's owner declares.
pub(crate) fn declared() -> Value {
    json!([
        { "network": "198.18.1.0/24", "country": "PT", "purpose": "office" },
        { "network": "198.18.2.0/24", "country": "GB", "purpose": "office" },
        { "network": "198.18.3.0/24", "country": "SG", "purpose": "office" },
        { "network": "198.18.4.0/24", "country": "US", "purpose": "office" },
        { "network": "198.18.20.0/24", "country": "IE", "purpose": "vpn" },
        { "network": "198.18.21.0/24", "country": "SG", "purpose": "vpn" },
        { "network": "198.18.22.0/24", "country": "US", "purpose": "vpn" },
        { "network": "AS64600", "country": "", "purpose": "relay" },
        { "network": "198.18.40.0/24", "country": "IE", "purpose": "datacentre" },
        { "network": "198.18.41.0/24", "country": "SG", "purpose": "datacentre" },
    ])
}

/// An office by its number.
pub(crate) fn office(number: u64, chance: &mut Chance) -> Egress {
    let country = *["PT", "GB", "SG", "US"].get(usize::try_from(number).unwrap_or_default()).unwrap_or(&"PT");
    // One address for everybody at most desks, a second one after a fail-over of the line.
    Egress::of(1 + number, if chance.thousandths(40) { 200 } else { 10 }, country, 64_512 + number.cast_signed())
}

/// A gateway of the company's VPN; `near` is the one that a region uses when all is well.
pub(crate) fn vpn(near: u64, chance: &mut Chance) -> Egress {
    // The nearest gateway is full or under maintenance now and then, and the client takes another one.
    let gateway = if chance.thousandths(60) { chance.below(3) } else { near };
    let country = ["IE", "SG", "US"][usize::try_from(gateway % 3).unwrap_or_default()];
    Egress::of(20 + gateway % 3, chance.below(4), country, 64_530)
}

/// A point of presence of the security provider: the region's usual ones and, on some days, one across a border.
pub(crate) fn security_provider(near: u64, chance: &mut Chance) -> Egress {
    const POINTS: [[&str; 3]; 3] = [["GB", "NL", "DE"], ["SG", "HK", "IN"], ["US", "US", "CA"]];
    let countries = POINTS[usize::try_from(near % 3).unwrap_or_default()];
    let point = chance.below(10);
    let country = countries[usize::from(point > 5) + usize::from(point > 8)];
    Egress::of(30 + near % 3 * 3 + point / 4, chance.below(60), country, 64_600)
}

/// A line at home. The address lasts a lease of about ten days; some providers change it every night.
pub(crate) fn home(person: u64, country: &'static str, day: i64) -> Egress {
    let lease = if person.is_multiple_of(5) { 1 } else { 10 };
    let renewed = (day.cast_unsigned() + person * 3) / lease;
    Egress::of(60 + person % 40, renewed * 7 + person, country, 64_700 + (person % 6).cast_signed())
}

/// The Internet as a phone's carrier gives it. Most carriers hand a roaming phone over at home; travel cards do so where
/// they please, and at another place tomorrow.
pub(crate) fn phone(person: u64, country: &'static str, is_travel_card: bool, chance: &mut Chance) -> Egress {
    if is_travel_card {
        let country = *chance.pick(&["NL", "GB", "HK", "PL"]);
        return Egress::of(120 + chance.below(4), chance.below(250), country, 64_760);
    }
    if chance.thousandths(350) {
        let (prefix, host) = (chance.below(0xffff), chance.number());
        let ip = format!("2001:db8:{:x}:{prefix:x}:{:x}:{:x}::1", 0x100 + person, host >> 48, host & 0xffff);
        return Egress { ip, country, asn: 64_740 + (person % 7).cast_signed() };
    }
    // A pool of addresses that a whole country shares.
    Egress::of(110 + person % 7, chance.below(250), country, 64_740 + (person % 7).cast_signed())
}

/// A hotel or a conference, of a chain that may leave at its headquarters.
pub(crate) fn hotel(city: &crate::people::travel::City, night: u64) -> Egress {
    Egress::of(140 + city.number, 20 + night % 3, if city.is_headed_elsewhere { "US" } else { city.country }, 64_780)
}

/// The lounge of an airport.
pub(crate) fn airport(country: &'static str, chance: &mut Chance) -> Egress {
    Egress::of(170, chance.below(250), country, 64_781)
}

/// Above the sea: the operator's ground station.
pub(crate) fn aeroplane(chance: &mut Chance) -> Egress {
    Egress::of(171, chance.below(250), if chance.below(2) == 0 { "US" } else { "GB" }, 64_782)
}

/// A privacy relay of a browser: right about the country as a rule.
pub(crate) fn privacy_relay(country: &'static str, chance: &mut Chance) -> Egress {
    let country = if chance.thousandths(150) { *chance.pick(&["NL", "DE", "US"]) } else { country };
    Egress::of(200 + chance.below(20), chance.below(250), country, *chance.pick(&[64_790, 64_791, 64_792]))
}

/// A machine of the company.
pub(crate) fn datacentre(host: u64) -> Egress {
    let site = host % 2;
    Egress::of(40 + site, 30 + host, if site == 0 { "IE" } else { "SG" }, 64_540)
}
