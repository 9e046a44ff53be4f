//! Which passes of which cells a program links if it does not know its layers at compile time.

use super::table::{Kind, Reach, Table};

/// The passes of a layer's cell.
///
/// Without the feature `named-forms`, they are chosen among those of all cells at each call. For a constant
/// layer the compiler knows the choice. For other layers it links all passes. With the feature, the layer
/// holds its table. (Layers do not always hold it, because the compiler lost track of tables in constant
/// layers before the call: the step of nine GRUs took 98 KiB of a Cortex-M4F's flash instead of 7.)
#[derive(Clone, Copy)]
pub(crate) struct Passes {
    #[cfg(feature = "named-forms")]
    table: &'static Table,
    pub(crate) reach: Reach,
}

impl Passes {
    /// No passes, for a layer that is only inspected and not run.
    pub(crate) const NOTHING: Passes = Passes::of(Kind::RnnTanh, Reach::Nothing);

    #[inline(always)]
    #[cfg_attr(not(feature = "named-forms"), allow(unused_variables))]
    const fn of(kind: Kind, reach: Reach) -> Self {
        Passes {
            #[cfg(feature = "named-forms")]
            table: Table::with(kind, reach),
            reach,
        }
    }

    /// All passes of a form.
    #[inline(always)]
    pub(crate) const fn all(kind: Kind) -> Self {
        Passes::of(kind, Reach::All)
    }

    /// The table of these passes. `kind` has to be their form.
    #[inline(always)]
    #[cfg_attr(feature = "named-forms", allow(unused_variables))]
    pub(crate) const fn table(&self, kind: Kind) -> &'static Table {
        #[cfg(feature = "named-forms")]
        {
            self.table
        }
        #[cfg(not(feature = "named-forms"))]
        {
            Table::all(kind)
        }
    }
}

/// All values are equal: what a layer computes does not depend on what else is linked.
impl PartialEq for Passes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl core::fmt::Debug for Passes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.reach.fmt(f)
    }
}

/// A form of a cell that a program may meet in an image. [`Image::link`](crate::image::Image::link) takes the
/// forms that a program names. With the feature `named-forms`, only these are linked into the program.
///
/// [`inference`](Self::inference) and [`steps`](Self::steps) leave out passes as well. Use these functions in
/// constants: then only the remaining passes are linked.
///
/// ```
/// use recurrent::image::Form;
/// const FORMS: [Form; 2] = [Form::GRU.steps(), Form::LSTM.inference()];
/// assert_eq!(FORMS[0].name(), "GRU");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    kind: Kind,
    passes: Passes,
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $kind:ident;)+) => {
        impl Form {
            $($(#[$doc])*
            pub const $name: Form = Form::of(Kind::$kind, Reach::All);)+

            /// All forms.
            pub const ALL: &'static [&'static Form] = &[$(&Form::$name),+];

            /// The name of the constant.
            pub const fn name(&self) -> &'static str {
                self.kind.name()
            }
        }

        impl Kind {
            /// The name of the form.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => stringify!($name),)+
                }
            }
        }
    };
}

forms! {
    /// A simple recurrent layer of tanh units.
    RNN_TANH = RnnTanh;
    /// A simple recurrent layer of rectified linear units.
    RNN_RELU = RnnRelu;
    /// A simple recurrent layer with another activation or a clip.
    RNN_OPTIONS = RnnOptions;
    /// An LSTM like PyTorch's.
    LSTM = Lstm;
    /// An LSTM with other activations, a clip, coupled gates, peepholes, or a projection.
    LSTM_OPTIONS = LstmOptions;
    /// An LSTM with layer normalisation, in both of its forms.
    LSTM_NORMALISED = LstmNormalised;
    /// A GRU like PyTorch's: it resets after the product.
    GRU = Gru;
    /// The same with other activations or a clip.
    GRU_OPTIONS = GruOptions;
    /// A GRU that resets before the product.
    GRU_RESET_BEFORE = GruResetBefore;
    /// The same with other activations or a clip.
    GRU_RESET_BEFORE_OPTIONS = GruResetBeforeOptions;
    /// A GRU with layer normalisation.
    GRU_NORMALISED = GruNormalised;
    /// A minimal gated unit.
    MGU = Mgu;
}

impl Form {
    const fn of(kind: Kind, reach: Reach) -> Self {
        Form { kind, passes: Passes::of(kind, reach) }
    }

    /// The same without training. On targets without vectors it runs from canonical weights in place, and
    /// packed weights are rejected.
    pub const fn inference(self) -> Self {
        Form::of(self.kind, Reach::Inference)
    }

    /// The same with single steps only: no whole sequences, and no training. Weights as for
    /// [`inference`](Self::inference).
    pub const fn steps(self) -> Self {
        Form::of(self.kind, Reach::Steps)
    }

    /// The passes of a form, if `forms` has it.
    pub(crate) fn find(forms: &[&Form], kind: Kind) -> Option<Passes> {
        forms.iter().find(|form| form.kind == kind).map(|form| form.passes)
    }
}
