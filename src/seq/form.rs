//! Which passes of which cells a program links, where it does not know its layers before it runs.

use super::table::{Kind, Reach, Table};

/// The passes of a layer's cell.
///
/// They are chosen among those of all cells when they are called: of a constant layer the compiler then knows
/// them, and of others it links all. With the feature `named-forms` the layer holds its table. (Without it,
/// too, tables in constant layers were lost on the way to the call: the step of nine GRUs took 98 KiB of a
/// Cortex-M4F's flash instead of 7.)
#[derive(Clone, Copy)]
pub(crate) struct Passes {
    #[cfg(feature = "named-forms")]
    table: &'static Table,
    pub(crate) reach: Reach,
}

impl Passes {
    /// None: of a layer that is looked at, and not run.
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

    /// The table, of a cell of the form that these passes are of.
    #[inline(always)]
    #[cfg_attr(feature = "named-forms", allow(unused_variables))]
    pub(super) const fn table(&self, kind: Kind) -> &'static Table {
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

/// What a layer computes does not depend on what else is linked.
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

/// A form of a cell that a program names, because it may meet it in an image:
/// [`Image::link`](crate::image::Image::link) takes them. With the feature `named-forms`, what a program does
/// not name is not linked into it.
///
/// [`inference`](Self::inference) and [`steps`](Self::steps) leave passes out, too. Use these in constants:
/// then only what is left is linked.
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

            /// All of them.
            pub const ALL: &'static [&'static Form] = &[$(&Form::$name),+];

            /// The name of the constant.
            pub const fn name(&self) -> &'static str {
                match self.kind {
                    $(Kind::$kind => stringify!($name),)+
                }
            }
        }

        impl Kind {
            /// Why a layer is refused that has this form.
            pub(crate) const fn refusal(self) -> &'static str {
                match self {
                    $(Kind::$kind => concat!("is of the form ", stringify!($name), ", which the program did not name"),)+
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
    /// A simple recurrent layer with another activation, or a clip.
    RNN_OPTIONS = RnnOptions;
    /// An LSTM as PyTorch has it.
    LSTM = Lstm;
    /// An LSTM with other activations, a clip, coupled gates, peepholes, or a projection.
    LSTM_OPTIONS = LstmOptions;
    /// A GRU as PyTorch has it: it resets after the product.
    GRU = Gru;
    /// The same with other activations, or a clip.
    GRU_OPTIONS = GruOptions;
    /// A GRU that resets before the product.
    GRU_RESET_BEFORE = GruResetBefore;
    /// The same with other activations, or a clip.
    GRU_RESET_BEFORE_OPTIONS = GruResetBeforeOptions;
    /// A minimal gated unit.
    MGU = Mgu;
}

impl Form {
    const fn of(kind: Kind, reach: Reach) -> Self {
        Form { kind, passes: Passes::of(kind, reach) }
    }

    /// The same without training. On targets without vectors it runs from canonical weights, in place; packed
    /// ones are refused there.
    pub const fn inference(self) -> Self {
        Form::of(self.kind, Reach::Inference)
    }

    /// The same with steps alone: neither whole sequences nor training. Weights as for
    /// [`inference`](Self::inference).
    pub const fn steps(self) -> Self {
        Form::of(self.kind, Reach::Steps)
    }

    /// The passes of a form, if it is among these.
    pub(crate) fn find(forms: &[&Form], kind: Kind) -> Option<Passes> {
        forms.iter().find(|form| form.kind == kind).map(|form| form.passes)
    }
}
