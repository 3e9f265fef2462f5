//! The form of every catalogue: entries with names, parameters and a constructor.

use super::error::CatalogError;
use super::parameter::Parameter;

/// A list of entries of one kind. The [module](super) lists all catalogues.
///
/// ```
/// use tweedie::math::Weight;
///
/// let weight = Weight::CATALOGUE.find("min_snr_gamma")?.build(&[("gamma", 3.0)])?;
/// assert_eq!(weight, Weight::MinSnr { gamma: 3.0 });
/// let error = Weight::CATALOGUE.find("lpips").unwrap_err();
/// assert!(error.to_string().starts_with("no weight is called `lpips` (expected none (or constant, uniform, 1), snr, min-snr"));
/// # Ok::<(), tweedie::math::catalog::CatalogError>(())
/// ```
#[derive(Debug)]
pub struct Catalogue<T: 'static> {
    /// The entries, in the order in which they are shown.
    pub entries: &'static [Entry<T>],
}

/// One entry of a catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry<T: 'static> {
    /// The word for the kind of thing, such as `schedule`.
    pub kind: &'static str,
    /// Its name: usually lower case with words joined by dashes; entries of ComfyUI have ComfyUI's spelling.
    pub name: &'static str,
    /// Other names, spelled as in the libraries that use them.
    pub synonyms: &'static [&'static str],
    /// One line that names the thing and its source.
    pub summary: &'static str,
    /// The numbers that it is built from.
    pub parameters: &'static [Parameter],
    /// The constructor, or the facts from which it is built.
    pub make: T,
}

/// A constructor that takes numbers.
pub type Make<T> = fn(&Values) -> Result<T, CatalogError>;

/// A number for each of an entry's parameters, checked unless made by [`Entry::build_unchecked`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<(&'static str, f64)>);

impl Values {
    /// The number of a parameter; NaN for a name that the entry does not declare, which constructors refuse.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// The number of a parameter as a count: for whole parameters that are at least 0.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.number(name) as usize
    }
}

impl<T> Catalogue<T> {
    /// Finds the entry of this name or synonym. Upper and lower case, `-`, `_` and spaces make no difference.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`], which lists the names that are accepted.
    pub fn find(&self, name: &str) -> Result<&'static Entry<T>, CatalogError> {
        let wanted = plain(name);
        let found = self.entries.iter().find(|entry| entry.names().any(|known| plain(known) == wanted));
        found.ok_or_else(|| self.unknown(name))
    }

    /// The error for a name that no entry has.
    pub(super) fn unknown(&self, name: &str) -> CatalogError {
        let wanted = plain(name);
        let apart = |known: &'static str| {
            let spelled = plain(known);
            (distance(&spelled, &wanted), spelled.len().abs_diff(wanted.len()), known)
        };
        let names = self.entries.iter().flat_map(Entry::names);
        let nearest = if wanted.len() > LONGEST { None } else { names.map(apart).min() };
        CatalogError::Unknown {
            kind: self.entries.first().map_or("entry", |entry| entry.kind),
            accepted: self.accepted(),
            nearest: nearest
                .filter(|(apart, ..)| *apart <= MISSPELT && apart * 2 <= wanted.len())
                .map(|(.., name)| name),
            found: name.to_owned(),
        }
    }

    /// All names in one line, synonyms in brackets: `linear, scaled-linear (or quad, quadratic)`.
    #[must_use]
    pub fn accepted(&self) -> String {
        let each = self.entries.iter().map(|entry| match entry.synonyms {
            [] => entry.name.to_owned(),
            others => format!("{} (or {})", entry.name, others.join(", ")),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

impl<T> Entry<T> {
    /// Creates an entry from its fields.
    pub const fn new(
        kind: &'static str,
        name: &'static str,
        synonyms: &'static [&'static str],
        summary: &'static str,
        parameters: &'static [Parameter],
        make: T,
    ) -> Self
    where
        T: Copy,
    {
        Self { kind, name, synonyms, summary, parameters, make }
    }

    /// Its name, then its synonyms.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.synonyms.iter().copied())
    }

    /// Its name and kind, for messages: `cosine schedule`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.kind)
    }

    /// The parameter of this name, spelled as it is declared.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

impl<T> Entry<T> {
    /// The numbers of its parameters: those that are given by name, and the defaults of the others.
    ///
    /// # Errors
    /// [`CatalogError::Unused`] for a name that the entry does not have, [`CatalogError::Range`] for a number out of range,
    /// [`CatalogError::Missing`] for a parameter that is not given and has no default.
    pub fn values(&self, given: &[(&str, f64)]) -> Result<Values, CatalogError> {
        if let Some((name, _)) = given.iter().find(|(name, _)| self.parameter(name).is_none()) {
            return Err(CatalogError::Unused { option: (*name).to_owned(), by: self.title() });
        }
        let value = |parameter: &'static Parameter| {
            let found = given.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| *value);
            let missing = || CatalogError::Missing { option: parameter.name, by: self.title() };
            match found.or(parameter.default).ok_or_else(missing)? {
                found if parameter.fits(found) => Ok((parameter.name, found)),
                found => Err(CatalogError::Range { parameter: *parameter, found }),
            }
        };
        Ok(Values(self.parameters.iter().map(value).collect::<Result<_, CatalogError>>()?))
    }
}

impl<T> Entry<Make<T>> {
    /// Builds it from numbers by name; parameters that are not given take their defaults.
    ///
    /// # Errors
    /// Those of [`values`](Self::values), and the errors of the constructor.
    pub fn build(&self, given: &[(&str, f64)]) -> Result<T, CatalogError> {
        (self.make)(&self.values(given)?)
    }

    /// Builds it from a number for each parameter, without a check of its range. The constructor refuses numbers that it
    /// cannot use.
    ///
    /// # Errors
    /// Those of the constructor.
    pub fn build_unchecked(&self, mut number: impl FnMut(&Parameter) -> f64) -> Result<T, CatalogError> {
        (self.make)(&Values(self.parameters.iter().map(|parameter| (parameter.name, number(parameter))).collect()))
    }
}

/// The most letters by which a misspelt name differs from the one that is meant.
const MISSPELT: usize = 2;

/// The longest name for which the nearest one is looked for.
const LONGEST: usize = 64;

/// The number of letters to insert, delete, replace or exchange with the next one that leads from one name to the other (Damerau
/// 1964).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut rows = [Vec::new(), Vec::new(), (0..=to.len()).collect::<Vec<usize>>()];
    let mut before = None;
    for (i, a) in from.chars().enumerate() {
        rows.rotate_left(1);
        let [two_up, up, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = up[j] + usize::from(a != *b);
            let mut least = replaced.min(up[j + 1] + 1).min(row[j] + 1);
            if j > 0 && before == Some(*b) && to[j - 1] == a {
                least = least.min(two_up[j - 1] + 1);
            }
            row.push(least);
        }
        before = Some(a);
    }
    rows[2].last().copied().unwrap_or(0)
}

/// The spelling in which names are compared.
pub(crate) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace());
    letters.flat_map(char::to_lowercase).collect()
}
