SELECT
  ts, experiment_name, group_id, country,
  user_id, stable_id, stable_id_v2, company_id
FROM analytics.exposures.checkout
