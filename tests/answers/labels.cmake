# Gives the label "answers" to the tests of other folders that show a wrong or surprising answer of an earlier version.
# ctest runs this after the tests of such a folder are known; tests/README.md says which case each stands for.
set(answers
  "^ClockStepsTest\\."
  "^RunClocksTest\\."
  "^ObjectTest\\.AStoredClock"
  "^CompletionQueueExecutorTest\\."
  "^LimitModelTest\\."
  "^GcraTest\\."
  "^CalendarTest\\."
  "^RateLimiterTest\\.(UnitsAreGivenBack|GivingBack|.*Model|.*Calendar)"
  "^SlackWatchTest\\."
  "Watches\\.AFrozenWatcher"
  "Replays\\."
  "Formats"
  "^UserAttributesTest\\."
  "^HeaderLagTest\\."
  "Descri(be|ptions)"
  "KillBehaviour\\.ADescription"
  "^PlainAlarmDelayTest\\."
  "^LostFoldsTest\\."
  "^CommitLogTest\\.(AStoreThatHasLost|ASegmentThatIsMissing|ATornBatch)"
  "^FailedMoveTest\\.OneWhosePackingFailed"
  "^ConfigTest\\."
  "^(RetriesDocTest|ServiceConfigTest)\\."
  "^MutationTest\\.ALaterError"
  "^(DamageTest|TablesTest)\\."
  "Leaving"
  "^(StayingTest|EmptyBatchTest|EmptyLimiterTest)\\."
)
list(JOIN answers "|" answers)
foreach(program storage_test actors_test objects_test service_test blackbox_test client_cli_test)
  # This label is the one that the tests have already.
  if(program STREQUAL blackbox_test)
    set(label blackbox)
  elseif(program STREQUAL client_cli_test)
    set(label client)
  else()
    set(label unit)
  endif()
  foreach(test IN LISTS ${program}_TESTS)
    if(test MATCHES "${answers}")
      set_tests_properties("${test}" PROPERTIES LABELS "${label};answers")
    endif()
  endforeach()
endforeach()
