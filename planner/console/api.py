"""The Console API's names, of the version that statform speaks."""

API_VERSION = "20240601"
PROJECT = "/console/v1/project"
AUDIT_LOGS = "/console/v1/audit_logs"
EXPERIMENTS = "/console/v1/experiments"
UNIT_ID_TYPES = "/console/v1/unit_id_types"
