//! Choices that have a name on the command line: ours first, then the synonyms of other libraries.

/// A choice with a name.
pub trait Named: Copy + PartialEq + 'static {
    /// Every choice with its names.
    const NAMES: &'static [(Self, &'static [&'static str])];

    /// True if the error for an unknown name lists synonyms too.
    const TELLS_SYNONYMS: bool = false;

    /// Finds the choice. Case, `-`, `_` and spaces do not count.
    ///
    /// # Errors
    /// The known names.
    fn parse(text: &str) -> Result<Self, String> {
        let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
        let known = Self::NAMES.iter().find(|(_, names)| names.iter().any(|name| plain(name) == plain(text)));
        known.map(|(choice, _)| *choice).ok_or_else(|| {
            let known: Vec<String> = Self::NAMES.iter().map(|(_, names)| told(names, Self::TELLS_SYNONYMS)).collect();
            format!("expected {}", known.join(", "))
        })
    }

    /// The first name.
    fn name(self) -> &'static str {
        let names = Self::NAMES.iter().find(|(choice, _)| *choice == self).and_then(|(_, names)| names.first());
        names.copied().unwrap_or("unnamed")
    }
}

fn told(names: &[&str], synonyms: bool) -> String {
    match names {
        [ours, others @ ..] if synonyms && !others.is_empty() => format!("{ours} (or {})", others.join(", ")),
        [ours, ..] => (*ours).to_owned(),
        [] => String::new(),
    }
}

/// Defines an enum whose variants have names: [`Named`] and `Display` follow from one table.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$detail:meta])* $variant:ident: $($text:literal)|+,)+ } $($more:tt)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$detail])* $variant,)+
        }

        impl $crate::names::Named for $name {
            const NAMES: &'static [(Self, &'static [&'static str])] = &[$((Self::$variant, &[$($text),+])),+];
            $($more)*
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad($crate::names::Named::name(*self))
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss_args::{Kind, WeightName};
    use crate::sampler_name::SamplerName;
    use crate::schedule_name::ScheduleName;
    use std::fmt::{Debug, Display};

    fn check<T: Named + Debug + Display>() {
        for (choice, names) in T::NAMES {
            for name in *names {
                let spellings =
                    [name.to_uppercase(), name.replace('_', "-"), name.replace('-', "_"), name.replace('-', "")];
                for spelling in spellings.iter().chain([&(*name).to_owned()]) {
                    assert_eq!(T::parse(spelling), Ok(*choice), "{spelling}");
                }
            }
            assert_eq!(T::parse(&choice.to_string()), Ok(*choice));
        }
    }

    #[test]
    fn every_name_parses_in_every_spelling() {
        check::<Kind>();
        check::<WeightName>();
        check::<SamplerName>();
        check::<ScheduleName>();
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let text = ScheduleName::parse("karras").unwrap_err();
        assert!(text.contains("scaled-linear (or quad, quadratic)") && text.contains("laplace-paper"), "{text}");
        assert_eq!(Kind::parse("lpips").unwrap_err(), "expected mse, l1, huber, smooth-l1, pseudo-huber");
        assert!(SamplerName::parse("plms").unwrap_err().contains("ddim, ddim-inverse, euler"));
    }
}
