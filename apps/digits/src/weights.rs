//! The trained parameters, from safetensors files in f16.

use crate::architecture::parameters;
use crate::error::DigitsError;
use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::HashMap;
use tweedie::Quantity;

/// The quantities for which a network was trained.
pub const PREDICTIONS: [Quantity; 3] = [Quantity::V, Quantity::X0, Quantity::Epsilon];

/// Their files in this repository, in the same order. A program that does not use [`Weights::trained`] is linked without them.
const TRAINED: [&[u8]; 3] = [
    include_bytes!("../weights/v.safetensors"),
    include_bytes!("../weights/x0.safetensors"),
    include_bytes!("../weights/epsilon.safetensors"),
];

/// The parameters of a network, widened to f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    prediction: Quantity,
    tensors: HashMap<String, Vec<f32>>,
}

impl Weights {
    /// The weights of this repository for a prediction: v, x0 or epsilon.
    ///
    /// # Errors
    /// [`DigitsError::Untrained`] for another one.
    pub fn trained(prediction: Quantity) -> Result<Self, DigitsError> {
        let found = PREDICTIONS.iter().position(|trained| *trained == prediction);
        Self::read(TRAINED[found.ok_or(DigitsError::Untrained { found: prediction })?])
    }

    /// Reads a safetensors file: F16 tensors by the names of `train.py`, and `prediction` in its metadata.
    ///
    /// # Errors
    /// Those of [`DigitsError`] that name a file or a tensor, for a file that is not one of this network.
    pub fn read(bytes: &[u8]) -> Result<Self, DigitsError> {
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let expected = parameters();
        if let Some(name) = file.names().into_iter().find(|name| expected.iter().all(|(known, _)| known != name)) {
            return Err(DigitsError::Unexpected { name: name.to_owned() });
        }
        let tensors = expected.into_iter().map(|(name, shape)| {
            let Ok(view) = file.tensor(&name) else { return Err(DigitsError::Missing { name, shape }) };
            Ok((name.clone(), numbers(name, shape, &view)?))
        });
        Ok(Self { prediction: prediction(bytes)?, tensors: tensors.collect::<Result<_, _>>()? })
    }

    /// The quantity that the network predicts.
    #[must_use]
    pub const fn prediction(&self) -> Quantity {
        self.prediction
    }

    /// The numbers of a parameter in row-major order; none for a name that the network does not have.
    #[must_use]
    pub fn get(&self, name: &str) -> &[f32] {
        self.tensors.get(name).map_or(&[], Vec::as_slice)
    }

    /// The numbers of a parameter, to be changed. Weights of convolutions are rounded to f16 again when a network is made.
    pub fn get_mut(&mut self, name: &str) -> &mut [f32] {
        self.tensors.get_mut(name).map_or(&mut [], Vec::as_mut_slice)
    }
}

fn damaged(error: SafeTensorError) -> DigitsError {
    DigitsError::File { reason: error.to_string() }
}

fn prediction(bytes: &[u8]) -> Result<Quantity, DigitsError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let found = header.metadata().as_ref().and_then(|metadata| metadata.get("prediction")).cloned();
    let known = PREDICTIONS.into_iter().find(|quantity| found.as_deref() == Some(quantity.name()));
    known.ok_or(DigitsError::Prediction { found })
}

fn numbers(name: String, expected: Vec<usize>, view: &TensorView<'_>) -> Result<Vec<f32>, DigitsError> {
    if view.dtype() != Dtype::F16 {
        return Err(DigitsError::Type { name, found: view.dtype() });
    }
    if view.shape() != expected {
        return Err(DigitsError::Shape { name, expected, found: view.shape().to_vec() });
    }
    let pairs = view.data().chunks_exact(2);
    let numbers: Vec<f32> = pairs.map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect();
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(index) => Err(DigitsError::NotFinite { name, index, found: numbers[index] }),
        None => Ok(numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

    /// A file of these tensors that says that its network predicts this.
    fn file(prediction: Option<&str>, tensors: &Tensors) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
        });
        let about = prediction.map(|text| HashMap::from([("prediction".to_owned(), text.to_owned())]));
        safetensors::serialize(views.collect::<Vec<_>>(), about).expect("a file")
    }

    /// All parameters, of zeros.
    fn zeros() -> Tensors {
        let zero = |(name, shape): (String, Vec<usize>)| {
            let bytes = vec![0; 2 * shape.iter().product::<usize>()];
            (name, Dtype::F16, shape, bytes)
        };
        parameters().into_iter().map(zero).collect()
    }

    fn refused(change: impl FnOnce(&mut Tensors)) -> String {
        let mut tensors = zeros();
        change(&mut tensors);
        Weights::read(&file(Some("v"), &tensors)).expect_err("a refusal").to_string()
    }

    #[test]
    fn the_trained_networks_are_there() {
        for prediction in PREDICTIONS {
            let weights = Weights::trained(prediction).unwrap();
            assert_eq!(weights.prediction(), prediction);
            assert_eq!(weights.get("conv_in.weight").len(), 32 * 9);
            assert!(weights.get("conv_out.weight").iter().any(|weight| *weight != 0.0), "{prediction}: not trained");
        }
        let error = Weights::trained(Quantity::Score).unwrap_err();
        assert!(error.to_string().ends_with("found score"), "{error}");
    }

    #[test]
    fn a_file_of_another_network_is_refused() {
        assert!(Weights::read(&file(Some("x0"), &zeros())).is_ok());
        let name = "down1.conv1.weight";
        let of_name = |tensors: &mut Tensors| tensors.iter().position(|(found, ..)| found == name).unwrap();
        let missing = refused(|tensors| tensors.retain(|(found, ..)| found != name));
        assert_eq!(missing, "expected a tensor `down1.conv1.weight` of shape [32, 32, 3, 3], found none");
        let unexpected = refused(|tensors| tensors.push(("more".to_owned(), Dtype::F16, vec![1], vec![0; 2])));
        assert!(unexpected.ends_with("found a tensor `more`"), "{unexpected}");
        let shape = refused(|tensors| {
            let place = of_name(tensors);
            tensors[place].2 = vec![32, 32, 9];
        });
        assert!(shape.ends_with("expected shape [32, 32, 3, 3], found [32, 32, 9]"), "{shape}");
        let kind = refused(|tensors| {
            let place = of_name(tensors);
            tensors[place].1 = Dtype::BF16;
        });
        assert!(kind.ends_with("expected F16, found BF16"), "{kind}");
        let infinite = refused(|tensors| {
            let place = of_name(tensors);
            tensors[place].3[6..8].copy_from_slice(&f16::INFINITY.to_le_bytes());
        });
        assert!(infinite.ends_with("found inf at 3"), "{infinite}");
    }

    #[test]
    fn a_file_that_does_not_say_what_it_predicts_is_refused() {
        let refused = |prediction| Weights::read(&file(prediction, &zeros())).unwrap_err().to_string();
        assert!(refused(None).ends_with("found none"));
        assert!(refused(Some("score")).ends_with("found score"));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let whole = file(Some("v"), &zeros());
        for damaged in [&[][..], b"text", &whole[..100], &whole[..whole.len() - 1]] {
            assert!(matches!(Weights::read(damaged), Err(DigitsError::File { .. })));
        }
    }
}
