//! Sets of HTTP methods: one word of bits for the usual ones, text for the rest.

/// The usual methods, in the order `Allow` lists them; the place is the bit.
const USUAL: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
const GET: u16 = 1;
const HEAD: u16 = 1 << 1;
const OPTIONS: u16 = 1 << 6;
const TRACE: u16 = 1 << 7;
const CONNECT: u16 = 1 << 8;

/// A method of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'m> {
    bit: u16,
    text: &'m str,
}

impl<'m> Method<'m> {
    pub(super) const GET: Self = Method { bit: GET, text: "GET" };

    pub(super) fn new(text: &'m str) -> Self {
        let bit = USUAL.iter().position(|usual| *usual == text).map_or(0, |place| 1 << place);
        Self { bit, text }
    }

    pub(super) fn is_head(self) -> bool {
        self.bit == HEAD
    }

    pub(super) fn is_options(self) -> bool {
        self.bit == OPTIONS
    }

    pub(super) fn reads_files(self) -> bool {
        self.bit & (GET | HEAD) != 0
    }
}

/// The methods of one route, or those a path allows.
#[derive(Clone, Debug, Default)]
pub(super) struct MethodSet {
    /// Every method but `OPTIONS`, which the table answers itself.
    every: bool,
    bits: u16,
    others: Vec<String>,
}

impl MethodSet {
    /// What a static file answers to.
    pub(super) const READ: Self = Self { every: false, bits: GET | HEAD, others: Vec::new() };

    /// The set a route writes; empty is every method.
    pub(super) fn of_route(methods: &[String]) -> Self {
        let mut set = Self { every: methods.is_empty(), ..Self::default() };
        for text in methods {
            match Method::new(text).bit {
                0 => set.others.push(text.clone()),
                bit => set.bits |= bit,
            }
        }
        set
    }

    /// Whether a route with this set takes `method`. `HEAD` counts only where it is listed: who asks falls
    /// back to `GET`.
    pub(super) fn takes(&self, method: Method<'_>) -> bool {
        if self.every {
            return !method.is_options() && !method.is_head();
        }
        if method.bit == 0 { self.others.iter().any(|other| other == method.text) } else { self.bits & method.bit != 0 }
    }

    /// A method of both sets, as routes are in conflict over it; a route of every method is in conflict with
    /// any other of its shape.
    pub(super) fn common<'s>(&'s self, other: &'s Self) -> Option<&'s str> {
        match (self.every, other.every) {
            (true, true) => Some("GET"),
            (true, false) => other.first(),
            (false, true) => self.first(),
            (false, false) => {
                let usual = USUAL.iter().enumerate().find(|(place, _)| self.bits & other.bits & (1 << place) != 0);
                usual
                    .map(|(_, text)| *text)
                    .or_else(|| self.others.iter().find(|text| other.others.contains(text)).map(String::as_str))
            }
        }
    }

    fn first(&self) -> Option<&str> {
        let usual = USUAL.iter().enumerate().find(|(place, _)| self.bits & (1 << place) != 0);
        usual.map(|(_, text)| *text).or_else(|| self.others.first().map(String::as_str))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.every |= other.every;
        self.bits |= other.bits;
        for text in &other.others {
            if !self.others.contains(text) {
                self.others.push(text.clone());
            }
        }
    }

    /// Whether nothing was added yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.every && self.bits == 0 && self.others.is_empty()
    }

    /// The value of `Allow`: `GET` brings `HEAD`, and `OPTIONS` is always there.
    pub(super) fn allow(&self) -> String {
        let mut bits = self.bits | OPTIONS;
        if self.every {
            bits |= !(TRACE | CONNECT);
        }
        if bits & GET != 0 {
            bits |= HEAD;
        }
        let usual = USUAL.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0).map(|(_, text)| *text);
        usual.chain(self.others.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(methods: &[&str]) -> MethodSet {
        MethodSet::of_route(&methods.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn allow_lists_head_with_get_and_always_options() {
        assert_eq!(set(&["GET"]).allow(), "GET, HEAD, OPTIONS");
        assert_eq!(set(&["POST", "PURGE"]).allow(), "POST, OPTIONS, PURGE");
        assert_eq!(set(&[]).allow(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }

    #[test]
    fn two_sets_have_a_method_in_common_or_not() {
        assert_eq!(set(&["GET", "POST"]).common(&set(&["POST"])), Some("POST"));
        assert_eq!(set(&["GET"]).common(&set(&["HEAD"])), None);
        assert_eq!(set(&["PURGE"]).common(&set(&["PURGE"])), Some("PURGE"));
        assert_eq!(set(&[]).common(&set(&["OPTIONS"])), Some("OPTIONS"));
        assert_eq!(set(&[]).common(&set(&[])), Some("GET"));
    }
}
