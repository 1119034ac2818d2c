//! What metrics are called elsewhere.

/// Other names of metrics, as [`plain`] writes them, and the keys of a report that they may mean, the first that it has.
const NAMES: &[(&[&str], &[&str])] = &[
    (&["acc", "accuracyscore", "binaryaccuracy", "categoricalaccuracy", "sparsecategoricalaccuracy"], &["accuracy"]),
    (&["subsetaccuracy", "exactmatchratio"], &["exact_match"]),
    (&["balancedaccuracyscore"], &["balanced_accuracy"]),
    (&["auc", "rocauc", "rocaucscore", "auroc"], &["auc", "auc_macro"]),
    (&["rocaucovr", "rocaucmacro", "macroauc"], &["auc_macro"]),
    (
        &["averageprecision", "averageprecisionscore", "ap", "map", "prauc", "aucpr", "auprc"],
        &["average_precision", "average_precision_macro"],
    ),
    (&["f1", "f1score", "fscore", "fmeasure"], &["f1", "f1_macro"]),
    (&["macrof1"], &["f1_macro"]),
    (&["precision", "precisionscore", "ppv"], &["positive_predictive_value"]),
    (&["npv"], &["negative_predictive_value"]),
    (&["recall", "recallscore", "truepositiverate", "tpr"], &["sensitivity"]),
    (&["truenegativerate", "tnr", "selectivity"], &["specificity"]),
    (&["mcc", "matthewscorrcoef", "matthewscorrelation"], &["matthews"]),
    (&["cohenkappa", "cohenskappa", "cohenkappascore"], &["kappa"]),
    (&["logloss", "crossentropy", "binarycrossentropy", "categoricalcrossentropy"], &["log_loss"]),
    (&["brierscore", "brierscoreloss"], &["brier"]),
    (&["ece"], &["expected_calibration_error"]),
    (&["mae"], &["mean_absolute_error"]),
    (&["rmse"], &["root_mean_squared_error"]),
    (&["r2", "r2score", "rsquared"], &["r_squared"]),
    (&["pearsonr", "pearsoncorrelation"], &["pearson"]),
    (&["spearmanr", "spearmanrho", "spearmancorrelation"], &["spearman"]),
    (&["bias"], &["mean_difference"]),
    (&["dicescore", "dicecoefficient", "dsc"], &["dice"]),
    (&["jaccard", "jaccardscore", "jaccardindex", "intersectionoverunion", "meaniou", "binaryiou"], &["iou"]),
    (&["hd95", "hausdorffdistance95"], &["hausdorff_95"]),
    (&["assd", "averagesymmetricsurfacedistance"], &["average_surface_distance"]),
];

/// A name without what names differ in: capitals, spaces, hyphens and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The keys that `name` may mean among `keys`, in the order in which they are to be tried: the key itself, whatever its capitals, and
/// what others call so.
pub(super) fn meant<'a>(name: &str, keys: &[&'a str]) -> Vec<&'a str> {
    let name = plain(name);
    let own = keys.iter().copied().filter(|key| plain(key) == name);
    let others = NAMES.iter().filter(|(names, _)| names.contains(&name.as_str())).flat_map(|(_, means)| *means);
    own.chain(others.filter_map(|key| keys.iter().copied().find(|other| other == key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_thing() {
        let mut seen = std::collections::BTreeSet::new();
        for (names, _) in NAMES {
            for name in *names {
                assert!(seen.insert(name), "{name} stands twice");
                assert_eq!(plain(name), *name, "{name} would never be found");
            }
        }
    }
}
