//! Countries by their ISO 3166-1 code: a radio is told where it stands by one, and stays silent with a wrong one.

/// All codes, in order.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD \
    CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF \
    GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
    SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI \
    VN VU WF WS YE YT ZA ZM ZW";

/// What people write instead of the code that they mean.
const MEANT: &[(&str, &str)] = &[
    ("UK", "GB"),
    ("EN", "GB"),
    ("ENGLAND", "GB"),
    ("GER", "DE"),
    ("GERMANY", "DE"),
    ("AUSTRIA", "AT"),
    ("SWISS", "CH"),
    ("USA", "US"),
    ("JA", "JP"),
    ("DA", "DK"),
    ("SWEDEN", "SE"),
    ("EL", "GR"),
    ("CS", "CZ"),
];

/// Whether it is a country's code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == 2 && CODES.split_ascii_whitespace().any(|code| code == text)
}

/// The code that somebody means who wrote this, as far as it can be guessed.
pub(super) fn meant(text: &str) -> Option<&'static str> {
    let upper = text.trim().to_ascii_uppercase();
    let known = MEANT.iter().find(|(word, _code)| *word == upper).map(|(_word, code)| *code);
    known.or_else(|| CODES.split_ascii_whitespace().find(|code| *code == upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_the_list_and_a_slip_is_understood() {
        let codes: Vec<&str> = CODES.split_ascii_whitespace().collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted() && codes.iter().all(|code| is_code(code)));
        for (text, code) in [("UK", Some("GB")), ("de", Some("DE")), ("usa", Some("US")), ("XX", None), ("", None)] {
            assert!(!is_code(text), "{text}");
            assert_eq!(meant(text), code, "{text}");
        }
        assert!(MEANT.iter().all(|(word, code)| !is_code(word) && is_code(code)));
    }
}
