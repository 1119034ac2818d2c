use std::collections::BTreeMap;

use super::impute::Imputation;
use super::levels::Levels;
use super::scale::Scaling;
use super::table::TablePreparation;
use crate::data::Table;
use crate::error::Result;

/// How a column of numbers is prepared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    pub(super) imputation: Imputation,
    pub(super) indicator: bool,
    pub(super) scaling: Scaling,
}

impl Numbers {
    /// Standardised; a missing number is an error.
    pub fn new() -> Numbers {
        Numbers::default()
    }

    /// What stands in for a missing number.
    #[must_use]
    pub fn impute(self, imputation: Imputation) -> Numbers {
        Numbers { imputation, ..self }
    }

    /// Whether a column of ones and zeros says where numbers were missing. Only columns that have missing numbers when they are fitted get one.
    #[must_use]
    pub fn indicator(self, indicator: bool) -> Numbers {
        Numbers { indicator, ..self }
    }

    /// What the numbers are brought to.
    #[must_use]
    pub fn scaling(self, scaling: Scaling) -> Numbers {
        Numbers { scaling, ..self }
    }
}

/// What becomes of a column that has no value in any of the rows to train on, such as a test that the patients of one fold never had.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Empty {
    /// It is an error.
    #[default]
    Refuse,
    /// It is left out: folds may then have different numbers of features.
    Drop,
    /// It is one feature that is this number in every row, also where another table has a value: nothing was learned of such values.
    Constant(f64),
}

/// How a column is prepared.
#[derive(Clone, Debug, PartialEq)]
pub enum Treatment {
    /// As numbers; texts are read as such.
    Numbers(Numbers),
    /// As levels; numbers become levels.
    Levels(Levels),
}

impl From<Numbers> for Treatment {
    fn from(numbers: Numbers) -> Treatment {
        Treatment::Numbers(numbers)
    }
}

impl From<Levels> for Treatment {
    fn from(levels: Levels) -> Treatment {
        Treatment::Levels(levels)
    }
}

/// Which columns of a table are features, and what becomes of them. Fitted on the rows to train on it is a [`TablePreparation`].
///
/// ```
/// use galen::data::Table;
/// use galen::data::prepare::{Imputation, Numbers, Recipe};
///
/// let table = Table::new()
///     .with_numeric("age", vec![40.0, 60.0, f64::NAN, 90.0])?
///     .with_texts("sex", &[Some("f"), Some("m"), Some("f"), Some("m")])?
///     .with_texts("diagnosis", &[Some("M"), Some("B"), Some("B"), Some("B")])?;
/// let recipe = Recipe::all_but(["diagnosis"]).numbers(Numbers::new().impute(Imputation::Median));
/// let prepared = recipe.fit(&table, &[0, 1, 2])?;
/// assert_eq!(prepared.names(), ["age", "sex=f", "sex=m"]);
/// assert_eq!(prepared.apply(&table)?.shape(), [4, 3]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub(super) features: Features,
    pub(super) numbers: Numbers,
    pub(super) levels: Levels,
    pub(super) of: BTreeMap<String, Treatment>,
    pub(super) empty: Empty,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Features {
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Recipe {
    fn new(features: Features) -> Recipe {
        Recipe { features, numbers: Numbers::new(), levels: Levels::new(), of: BTreeMap::new(), empty: Empty::Refuse }
    }

    /// These columns are features, in this order.
    pub fn columns<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Recipe {
        Recipe::new(Features::These(names.into_iter().map(Into::into).collect()))
    }

    /// All columns but these are features: leave out the target and whatever tells it, and the patients' ids.
    pub fn all_but<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Recipe {
        Recipe::new(Features::AllBut(names.into_iter().map(Into::into).collect()))
    }

    /// How columns of numbers are prepared.
    #[must_use]
    pub fn numbers(self, numbers: Numbers) -> Recipe {
        Recipe { numbers, ..self }
    }

    /// How columns of texts are prepared.
    #[must_use]
    pub fn levels(self, levels: Levels) -> Recipe {
        Recipe { levels, ..self }
    }

    /// How this column is prepared, whatever it holds: numbers that are codes as [`Levels`], grades in text as [`Numbers`].
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, treatment: impl Into<Treatment>) -> Recipe {
        self.of.insert(name.into(), treatment.into());
        self
    }

    /// What becomes of columns that have no value in any of the rows to train on; [`TablePreparation::empty`] then names them.
    ///
    /// ```
    /// use galen::data::Table;
    /// use galen::data::prepare::{Empty, Imputation, Numbers, Recipe};
    ///
    /// let table = Table::new().with_numeric("age", vec![40.0, 60.0, 50.0])?.with_numeric("psa", vec![f64::NAN, f64::NAN, 4.1])?;
    /// let recipe = Recipe::columns(["age", "psa"]).numbers(Numbers::new().impute(Imputation::Median));
    /// assert!(recipe.fit(&table, &[0, 1]).is_err());
    /// let prepared = recipe.empty(Empty::Drop).fit(&table, &[0, 1])?;
    /// assert_eq!((prepared.names(), prepared.empty()), (vec!["age".to_owned()], vec!["psa"]));
    /// # Ok::<(), galen::Error>(())
    /// ```
    #[must_use]
    pub fn empty(self, empty: Empty) -> Recipe {
        Recipe { empty, ..self }
    }

    /// Fits it on these rows of a table: those to train on, and no others.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) where there are no rows or no features, a column or row does not exist, a column that is
    /// treated on its own is no feature, all values of one are missing ([`Recipe::empty`]), one is missing that nothing may stand in for, or a text should be a
    /// number and is none; [`Error::Usage`](crate::Error::Usage) and [`Error::Parameter`](crate::Error::Parameter) where a treatment
    /// makes no sense.
    pub fn fit(&self, table: &Table, rows: &[usize]) -> Result<TablePreparation> {
        TablePreparation::fit(self, table, rows)
    }
}
