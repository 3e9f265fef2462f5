//! The catalogue of recipes, and of their models.

use super::denoisers::DENOISERS;
use super::facts::Recipe;
use super::flow_pictures::PICTURES;
use super::flow_videos::VIDEOS;
use crate::math::catalog::entry::{Catalogue, Entry, Make};
use crate::math::catalog::error::CatalogError;
use crate::math::model::Model;

impl Recipe {
    /// Published models, each with the run by which it is usually sampled.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: &RECIPES };
}

impl Model {
    /// Published models that are often sampled or trained further: those of [`Recipe::CATALOGUE`].
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: &MODELS };

    /// Returns the published model of this name or synonym, with the timestep of its scheduler in diffusers.
    ///
    /// That timestep runs to 1000 even for networks that take a time `t` in `0..=1`, such as FLUX, Qwen-Image and Z-Image: a pipeline of
    /// diffusers divides it by 1000 before it calls the network. If you call such a network yourself, take the model of
    /// [`Recipe::model`], whose calls have the number that the network takes, or divide `call.timestep` by 1000. The column *told* of
    /// `docs/models.md` has that number for each model.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`], which lists the names that are accepted.
    pub fn named(name: &str) -> Result<Self, CatalogError> {
        Self::CATALOGUE.find(name)?.build(&[])
    }
}

const PARTS: [&[Entry<Recipe>]; 3] = [DENOISERS, PICTURES, VIDEOS];

const COUNT: usize = DENOISERS.len() + PICTURES.len() + VIDEOS.len();

/// All recipes: the parts, one after the other.
#[expect(clippy::large_const_arrays, reason = "MODELS is made from it in a constant")]
const RECIPES: [Entry<Recipe>; COUNT] = {
    let mut all = [DENOISERS[0]; COUNT];
    let (mut next, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut i = 0;
        while i < PARTS[part].len() {
            all[next] = PARTS[part][i];
            (next, i) = (next + 1, i + 1);
        }
        part += 1;
    }
    all
};

/// The model of each recipe.
const MODELS: [Entry<Make<Model>>; COUNT] = {
    let mut all = [model(&RECIPES[0]); COUNT];
    let mut i = 0;
    while i < COUNT {
        all[i] = model(&RECIPES[i]);
        i += 1;
    }
    all
};

const fn model(recipe: &Entry<Recipe>) -> Entry<Make<Model>> {
    let &Entry { kind, name, synonyms, summary, parameters, make } = recipe;
    Entry { kind, name, synonyms, summary, parameters, make: make.make }
}
