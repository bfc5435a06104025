SELECT paid_at, user_id, company_id, amount_usd
FROM sales.orders.purchases
WHERE status = 'paid'
