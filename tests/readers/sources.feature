Feature: sources
  Scenario: every source says what it is for
    Given I have assignment_source defined
    Then it must have description

  Scenario: what has the company's ID has the user's
    Given I have assignment_source defined
    When its name is checkout_exposures
    Then it must have idTypeMapping
