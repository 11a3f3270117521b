//! Asks a filter's conditions of data.
//!
//! Fields are asked in the order of the filter, all of them about one and the same object; of an array about each object
//! in it, until one is as wanted. Levels of the filter are recursed into, which are bounded; levels of the data are not.

use super::condition::Conditions;
use super::data::{Found, Place, Tree};

/// The number of a condition in the order of the filter.
pub(super) type Number = usize;

/// Fields that all have to be as wanted.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Box<[Field]>);

/// One of them.
#[derive(Debug)]
pub(super) enum Field {
    /// The member with this raw key meets one of the conditions.
    Value {
        /// The key as normalised JSON has it, without its quotes.
        key: Box<str>,
        /// Its number.
        number: Number,
        /// What it may be.
        conditions: Conditions,
    },
    /// The member with this raw key has fields that are as wanted.
    Nested {
        /// The key as normalised JSON has it, without its quotes.
        key: Box<str>,
        /// What its fields are to be.
        fields: Fields,
    },
    /// One of these is as wanted.
    Either {
        /// Its number; those in it have none of their own.
        number: Number,
        /// Two or more.
        alternatives: Box<[Fields]>,
    },
}

/// Asks all conditions; the number of the first that is not met.
pub(super) fn evaluate(fields: &Fields, tree: &Tree<'_>) -> Result<(), Number> {
    of_value(fields, tree, Some(tree.root()))
}

/// Of a value: of an object itself, of an array each one in it. What has no fields is asked as one in which all are absent.
fn of_value(fields: &Fields, tree: &Tree<'_>, value: Option<Place>) -> Result<(), Number> {
    match value.map(|place| (place, tree.at(place))) {
        Some((place, Found::Object)) => of_object(fields, tree, Some(place)),
        Some((place, Found::Array)) => of_items(fields, tree, place),
        Some((_, Found::Scalar(_))) | None => of_object(fields, tree, None),
    }
}

/// Of the items of an array, those of arrays in it included; the failure is that of the item which got furthest.
fn of_items(fields: &Fields, tree: &Tree<'_>, array: Place) -> Result<(), Number> {
    let end = tree.next(array);
    let mut at = array + 1;
    let mut furthest = None;
    while at < end {
        let object = match tree.at(at) {
            Found::Array => {
                at += 1;
                continue;
            }
            Found::Object => Some(at),
            Found::Scalar(_) => None,
        };
        match of_object(fields, tree, object) {
            Ok(()) => return Ok(()),
            Err(failed) => furthest = furthest.max(Some(failed)),
        }
        at = tree.next(at);
    }
    furthest.map_or_else(|| of_object(fields, tree, None), Err)
}

/// Of one object, or of something that has no fields.
fn of_object(fields: &Fields, tree: &Tree<'_>, object: Option<Place>) -> Result<(), Number> {
    let member = |key: &str| object.and_then(|place| tree.member(place, key));
    for field in &fields.0 {
        match field {
            Field::Value { key, number, conditions } => {
                if !meets(conditions, tree, member(key)) {
                    return Err(*number);
                }
            }
            Field::Nested { key, fields } => of_value(fields, tree, member(key))?,
            Field::Either { number, alternatives } => {
                if !alternatives.iter().any(|fields| of_object(fields, tree, object).is_ok()) {
                    return Err(*number);
                }
            }
        }
    }
    Ok(())
}

/// Whether a field's value, or one of the values in its array, meets one of the conditions.
fn meets(conditions: &Conditions, tree: &Tree<'_>, value: Option<Place>) -> bool {
    let Some(place) = value else { return conditions.absent };
    if conditions.present {
        return true;
    }
    let end = tree.next(place);
    let mut at = place;
    while at < end {
        match tree.at(at) {
            Found::Array => at += 1,
            Found::Object => at = tree.next(at),
            Found::Scalar(scalar) => {
                if conditions.met_by(scalar) {
                    return true;
                }
                at += 1;
            }
        }
    }
    false
}
