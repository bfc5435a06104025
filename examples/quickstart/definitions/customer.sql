SELECT user_id, tier FROM crm.customers
